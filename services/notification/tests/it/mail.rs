//! Mail over a real SMTP server.

use std::time::Duration;

use chrono::TimeDelta;
use settings::{MailSettings, MailTls, SecretRef};
use testkit::SmtpServer;
use testkit::smtp::free_port;

use super::*;

const SERVICES: &[http_kit::Service] = &[notification::SERVICE];

/// A server on this machine, without protection.
fn plain(mail: &mut MailSettings) {
    mail.tls = MailTls::None;
}

fn with_login(mail: &mut MailSettings) {
    plain(mail);
    mail.username = Some("clinic".to_owned());
    mail.password = Some(SecretRef { secret: "mail".to_owned(), key: "password".to_owned() });
}

/// What is set when nothing is: STARTTLS.
fn by_default(_: &mut MailSettings) {}

fn run<T>(engine: db::Engine, change: fn(&mut MailSettings), test: fn(Arc<TestStack>, u16) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let port = free_port();
    let settings = |settings: &mut settings::ServiceSettings| {
        let mut mail = MailSettings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: MailTls::default(),
            from: "Clinic Müller <no-reply@clinic.example>".to_owned(),
            username: None,
            password: None,
            dkim: None,
        };
        change(&mut mail);
        settings.integrations.mail = Some(mail);
    };
    testkit::stack::run_with(engine, SERVICES, settings, move |stack| test(stack, port));
}

/// Each test on both engines, with a port for its mail server.
macro_rules! mail_tests {
    ($($settings:ident: async fn $name:ident($stack:ident: Arc<TestStack>, $port:ident: u16) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $port: u16) $body

            #[test]
            fn sqlite() {
                run(db::Engine::Sqlite, $settings, test);
            }

            #[test]
            fn postgres() {
                run(db::Engine::Postgres, $settings, test);
            }
        }
    )*};
}

/// The notification, once it no longer stands there; as it is after fifteen seconds otherwise.
async fn until_not(stack: &Arc<TestStack>, status: &str, path: &str) -> Value {
    for _ in 0..750 {
        let read = get(stack, path).await.expect(200).json();
        if read["status"] != status {
            return read;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    get(stack, path).await.expect(200).json()
}

mail_tests! {
    plain: async fn mail_arrives_as_it_was_written(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let subject = "Erinnerung: Übermorgen, 10 Uhr – bitte Versichertenkarte mitbringen, danke für Ihre Mühe und bis bald ☀";
        let body = "Grüß Gott,\n\n.ein Punkt am Anfang\nund eine Zeile: Straße, 日本語\n";
        let post = serde_json::json!({"to": "johndoe@example.com", "subject": subject, "body": body, "patientId": "12345"});
        let sent = send(&stack, "email", &post.to_string()).await.expect(201);
        assert_eq!(sent.json()["status"], "Sent");
        let mails = server.wait_for(1).await;
        assert_eq!(mails.len(), 1);
        let mail = &mails[0];
        assert_eq!((mail.from.as_str(), mail.to.as_slice()), ("no-reply@clinic.example", ["johndoe@example.com".to_owned()].as_slice()));
        assert_eq!(mail.header("from"), "Clinic Müller <no-reply@clinic.example>");
        assert_eq!(mail.header("to"), "johndoe@example.com");
        assert_eq!(mail.header("subject"), subject);
        assert_eq!(mail.header("date"), "Thu, 15 Jan 2026 09:00:00 +0000");
        assert_eq!(mail.header("auto-submitted"), "auto-generated");
        let id = sent.json()["notificationId"].as_str().unwrap().to_owned();
        let named = mail.header("message-id").strip_prefix(&format!("<{id}.")).unwrap();
        assert_eq!(named.strip_suffix("@clinic.example>").unwrap().len(), 22);
        assert_eq!(mail.body.replace("\r\n", "\n").trim_end(), body.trim_end());
        assert!(mail.raw.lines().all(|line| line.len() <= 998));

        let read = get(&stack, sent.header("location")).await.expect(200);
        assert_eq!((read.header("etag"), &read.json()["status"]), (sent.header("etag"), &"Sent".into()));
    }

    plain: async fn a_header_in_a_subject_or_body_stays_text(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let post = serde_json::json!({
            "to": "johndoe@example.com", "subject": "Bcc: eve@example.com", "body": "\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<x@y.z>",
        });
        let _ = send(&stack, "email", &post.to_string()).await.expect(201);
        let mails = server.wait_for(1).await;
        assert_eq!((mails.len(), mails[0].to.len()), (1, 1));
        assert_eq!((mails[0].header("bcc"), mails[0].header("subject")), ("", "Bcc: eve@example.com"));
        assert!(mails[0].body.contains("MAIL FROM"));
    }

    plain: async fn text_messages_and_push_stay_in_the_box(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        assert_eq!(send(&stack, "sms", SMS).await.expect(201).json()["status"], "Sent");
        assert_eq!(send(&stack, "push", PUSH).await.expect(201).json()["status"], "Sent");
        assert!(server.mails().is_empty());
    }

    plain: async fn mail_waits_for_a_server_that_is_down(stack: Arc<TestStack>, port: u16) {
        let queued = send(&stack, "email", MAIL).await.expect(202);
        assert_eq!(queued.json()["status"], "Queued");
        let before = get(&stack, queued.header("location")).await.expect(200);
        assert_eq!(before.header("etag"), queued.header("etag"));
        assert_eq!(before.json()["error"], "The mail server does not answer.");
        assert_eq!(listed(&stack, "status=Queued").await.len(), 1);

        let server = SmtpServer::start(port);
        stack.clock.advance(TimeDelta::seconds(16));
        let sent = until_not(&stack, "Queued", queued.header("location")).await;
        assert_eq!((&sent["status"], &sent["sentAt"]), (&"Sent".into(), &"2026-01-15T09:00:16Z".into()));
        assert_eq!(sent.get("error"), None);
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].header("date"), "Thu, 15 Jan 2026 09:00:00 +0000");
    }

    plain: async fn mail_that_is_put_off_is_given_up_after_a_day(stack: Arc<TestStack>, port: u16) {
        let _server = SmtpServer::start(port);
        let queued = send(&stack, "email", &MAIL.replace("johndoe", "later")).await.expect(202);
        let first = get(&stack, queued.header("location")).await.expect(200).json();
        assert_eq!(first["error"], "The mail server does not take it now (451).");
        stack.clock.advance(TimeDelta::hours(24));
        let failed = until_not(&stack, "Queued", queued.header("location")).await;
        assert_eq!(failed["status"], "Failed");
        assert_eq!(failed["error"], "Given up after a day. The mail server does not take it now (451).");
    }

    plain: async fn mail_that_is_refused_for_good_has_failed(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let refused = send(&stack, "email", &MAIL.replace("johndoe", "refused")).await.expect(201);
        assert_eq!(refused.json()["status"], "Failed");
        let read = get(&stack, refused.header("location")).await.expect(200).json();
        assert_eq!((&read["status"], &read["error"]), (&"Failed".into(), &"The mail server refused it (550).".into()));
        stack.clock.advance(TimeDelta::hours(1));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(server.mails().is_empty());
    }

    by_default: async fn without_starttls_nothing_is_sent_in_clear(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let queued = send(&stack, "email", MAIL).await.expect(202);
        let read = get(&stack, queued.header("location")).await.expect(200).json();
        assert_eq!(read["error"], "The mail server lacks what is needed, such as STARTTLS.");
        assert!(server.mails().is_empty());
    }

    by_default: async fn a_server_that_nobody_vouches_for_gets_nothing(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start_with_untrusted_tls(port);
        let queued = send(&stack, "email", MAIL).await.expect(202);
        let read = get(&stack, queued.header("location")).await.expect(200).json();
        assert_eq!(read["error"], "The mail server offers no TLS that can be trusted.");
        assert!(server.mails().is_empty());
    }

    with_login: async fn a_server_may_ask_who_sends(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start_with_login(port, "open sesame");
        let missing = send(&stack, "email", MAIL).await.expect(202);
        let _ = stack.secret(ServiceName::NotificationService, "mail", "password", b"wrong");
        let wrong = send(&stack, "email", MAIL).await.expect(202);
        let read = get(&stack, wrong.header("location")).await.expect(200).json();
        assert_eq!(read["error"], "The mail server does not take it now (535).");
        assert!(server.mails().is_empty());

        // The right password is seen without a restart, and what waited goes out.
        let _ = stack.secret(ServiceName::NotificationService, "mail", "password", b"open sesame\n");
        assert_eq!(send(&stack, "email", MAIL).await.expect(201).json()["status"], "Sent");
        stack.clock.advance(TimeDelta::seconds(16));
        for waiting in [missing, wrong] {
            assert_eq!(until_not(&stack, "Queued", waiting.header("location")).await["status"], "Sent");
        }
        let mails = server.mails();
        assert_eq!(mails.len(), 3);
        assert!(mails.iter().all(|mail| mail.user.as_deref() == Some("clinic")));
    }

    plain: async fn a_repeated_post_gets_the_answer_that_came_of_it(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let post = || {
            let request = stack
                .request(ServiceName::NotificationService, Method::POST, "/api/notifications/email")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("idempotency-key", "k-1")
                .body(MAIL);
            testkit::stack::send(request)
        };
        let first = post().await.expect(201);
        assert_eq!(first.json()["status"], "Sent");
        assert_eq!(post().await.expect(201).text, first.text);
        assert_eq!(server.mails().len(), 1);
    }

    plain: async fn mail_of_a_patient_erased_meanwhile_is_not_sent(stack: Arc<TestStack>, port: u16) {
        let queued = send(&stack, "email", &about(MAIL, "12345")).await.expect(202);
        let event = r#"{"id": "evt_1", "occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}}"#;
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(event)).await.expect(200);
        let server = SmtpServer::start(port);
        stack.clock.advance(TimeDelta::hours(1));
        let other = send(&stack, "email", MAIL).await.expect(201);
        assert_eq!(other.json()["status"], "Sent");
        let _ = get(&stack, queued.header("location")).await.expect(404);
        assert_eq!(server.mails().len(), 1);
    }
}

/// As after a crash between commit and attempt: the row stands as queued, with a claim that nobody will use.
#[test]
fn what_a_crash_left_queued_goes_out_once_the_claim_has_run_out() {
    use contracts::id::NotificationId;
    use notification::domain::notification::{Content, Draft};
    use notification::store::claim::{Claim, Unsure, notifications_claim};
    use notification::store::notification::{Start, notification_insert};

    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        testkit::engines::run(
            engine,
            ServiceName::NotificationService,
            &notification::MIGRATIONS,
            |test: testkit::TestDb| async move {
                let db = test.db();
                let draft = Draft {
                    channel: contracts::notifications::Channel::Email,
                    content: Content {
                        to: "johndoe@example.com".to_owned(),
                        subject: None,
                        body: "Hello".to_owned(),
                        ..Content::default()
                    },
                    patient: None,
                };
                let mut tx = db.begin().await.unwrap();
                let id = NotificationId::generate(db.random());
                let start = Start::Claimed(Claim::new(db.random()));
                notification_insert(&mut tx, db, &id, &draft, &start).await.unwrap();
                tx.commit().await.unwrap();

                assert!(notifications_claim(db, 16).await.unwrap().is_empty());
                test.clock().advance(TimeDelta::seconds(60));
                let again = test.open_again().await;
                let (one, other) = tokio::join!(notifications_claim(db, 16), notifications_claim(&again, 16));
                let claimed: Vec<_> = one.unwrap().into_iter().chain(other.unwrap()).collect();
                assert_eq!(claimed.len(), 1);
                assert_eq!(
                    (&claimed[0].id, claimed[0].attempt, &claimed[0].content),
                    (&id, 2, &draft.content)
                );
                assert_eq!(claimed[0].unsure, Some(Unsure::BySome), "whoever died may have handed it on");
                again.close().await;
            },
        );
    }
}
