//! What mail servers report on mail that they took, as the clinic's own hands it on.

use settings::{Integrations, MailReportSettings, MailSettings, MailTls};
use testkit::SmtpServer;
use testkit::smtp::Mail;

use super::*;
use crate::channels::{channel_tests, secret};

const PATH: &str = "/api/notifications/callbacks/mail";
/// The secret that the tests of other channels have: of 19 characters.
const TOKEN: &str = crate::channels::TOKEN;
const BODY: &str =
    r#"{"to": "johndoe@example.com", "subject": "Reminder", "body": "Tomorrow.", "patientId": "12345"}"#;

pub(crate) fn plain(outside: &mut Integrations, [port, _]: [u16; 2]) {
    outside.mail = Some(MailSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        from: "Clinic <no-reply@clinic.example>".to_owned(),
        username: None,
        password: None,
        dkim: None,
    });
    outside.mail_reports = Some(MailReportSettings {
        address: "bounces@clinic.example".to_owned(),
        subaddresses: false,
        token: secret("sms"),
    });
}

fn named(outside: &mut Integrations, ports: [u16; 2]) {
    plain(outside, ports);
    outside.mail_reports.as_mut().unwrap().subaddresses = true;
}

fn unheard(outside: &mut Integrations, ports: [u16; 2]) {
    plain(outside, ports);
    outside.mail_reports = None;
}

/// A report of a server on a mail that it had: the `n`th that it writes.
fn report(n: u32, to: &str, (kind, told): (&str, &str), mail: &str) -> String {
    format!(
        "Return-Path: <>\r\nMessage-ID: <{n}@mx.example>\r\nTo: {to}\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=any;\r\n boundary=\"=_1\"\r\n\r\n--=_1\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --=_1\r\nContent-Type: message/{kind}\r\n\r\n{told}\r\n--=_1\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--=_1--\r\n"
    )
}

pub(crate) fn failed(n: u32, code: &str, mail: &str) -> String {
    let told = format!(
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; johndoe@example.com\r\nAction: failed\r\nStatus: {code}\r\n"
    );
    report(n, "bounces@clinic.example", ("delivery-status", &told), mail)
}

pub(crate) fn complaint(n: u32, mail: &str) -> String {
    let told = "Feedback-Type: abuse\r\nUser-Agent: FBL/1.0\r\nVersion: 1\r\n";
    report(n, "abuse@clinic.example", ("feedback-report", told), mail)
}

async fn tell_as(stack: &Arc<TestStack>, authorization: Option<&str>, mail: &str) -> Reply {
    let mut request = stack.request(ServiceName::NotificationService, Method::POST, PATH);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    testkit::stack::send(request.header("content-type", "message/rfc822").body(mail.to_owned())).await
}

/// As the clinic's mail server; whatever it tells, the answer is the same.
pub(crate) async fn tell(stack: &Arc<TestStack>, mail: &str) {
    let told = tell_as(stack, Some(&format!("Bearer {TOKEN}")), mail).await.expect(200);
    assert_eq!(told.json(), serde_json::json!({"status": "Taken"}));
}

/// Where it is, and what the server took.
async fn sent(stack: &Arc<TestStack>, server: &SmtpServer, body: &str) -> (String, Mail) {
    let before = server.mails().len();
    let sent = send(stack, "email", body).await.expect(201);
    assert_eq!(sent.json()["status"], "Sent");
    (sent.header("location").to_owned(), server.wait_for(before + 1).await.remove(before))
}

async fn read(stack: &Arc<TestStack>, path: &str) -> Value {
    get(stack, path).await.expect(200).json()
}

async fn reasons(stack: &Arc<TestStack>) -> Vec<String> {
    let path = "/api/notifications/suppressions?to=johndoe%40example.com";
    let list = call(stack, Role::Admin, Method::GET, path, None).await.expect(200).json();
    list["items"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap().to_owned()).collect()
}

channel_tests! {
    plain: async fn mail_that_comes_back_has_failed_and_its_address_is_written_to_no_more(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        assert_eq!((mail.from.as_str(), mail.header("from")), ("bounces@clinic.example", "Clinic <no-reply@clinic.example>"));
        tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        let after = read(&stack, &path).await;
        assert_eq!((&after["status"], &after["providerCode"], &after["error"]), (&"Failed".into(), &"5.1.1".into(), &"It came back (5.1.1).".into()));
        assert_eq!(send(&stack, "email", BODY).await.expect(409).json()["code"], "suppressed");
        assert_eq!(reasons(&stack).await, ["Bounce"]);
        let counted = get(&stack, "/api/notifications/statistics").await.expect(200).json();
        let effect = serde_json::json!({"channel": "Email", "type": "message", "sent": 1, "delivered": 0, "bounced": 1, "complained": 0, "clicked": 0, "clicks": 0, "confirmed": 0, "cancelled": 0});
        assert_eq!(counted["effects"], serde_json::json!([effect]));
    }

    plain: async fn what_came_back_for_another_cause_leaves_the_address_alone(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        for (n, code) in [(1, "4.4.7"), (2, "5.7.1")] {
            let (path, mail) = sent(&stack, &server, BODY).await;
            tell(&stack, &failed(n, code, &mail.raw)).await;
            let after = read(&stack, &path).await;
            assert_eq!((&after["status"], &after["providerCode"]), (&"Failed".into(), &code.into()));
        }
        assert!(reasons(&stack).await.is_empty());
    }

    plain: async fn a_delay_is_noted_and_no_more(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        tell(&stack, &failed(1, "4.4.1", &mail.raw).replace("Action: failed", "Action: delayed")).await;
        let after = read(&stack, &path).await;
        assert_eq!((&after["status"], &after["providerCode"]), (&"Sent".into(), &"4.4.1".into()));
        assert_eq!(after["error"], "The mail server that it goes to has not taken it yet.");
        assert!(reasons(&stack).await.is_empty());
        tell(&stack, &failed(2, "4.4.7", &mail.raw)).await;
        assert_eq!(read(&stack, &path).await["status"], "Failed");
    }

    plain: async fn who_complains_is_written_to_only_of_what_is_critical(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        assert_eq!(read(&stack, &path).await.get("complainedAt"), None);
        tell(&stack, &complaint(1, &mail.raw)).await;
        let after = read(&stack, &path).await;
        assert_eq!((&after["status"], &after["complainedAt"]), (&"Sent".into(), &"2026-01-15T09:00:00Z".into()));
        assert_eq!(reasons(&stack).await, ["Complaint"]);
        assert_eq!(send(&stack, "email", BODY).await.expect(409).json()["code"], "suppressed");
        let _ = sent(&stack, &server, &BODY.replacen('{', r#"{"critical": true,"#, 1)).await;
        let counted = get(&stack, "/api/notifications/statistics").await.expect(200).json();
        assert_eq!((&counted["effects"][0]["sent"], &counted["effects"][0]["complained"]), (&2.into(), &1.into()));
    }

    plain: async fn who_is_not_the_mail_server_or_names_no_mail_of_ours_changes_nothing(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        let good = failed(1, "5.1.1", &mail.raw);
        for stranger in [None, Some(String::new()), Some("Bearer ".to_owned()), Some(format!("Bearer {TOKEN}x")), Some(TOKEN.to_owned())] {
            let _ = tell_as(&stack, stranger.as_deref(), &good).await.expect(404);
        }
        let id = path.rsplit('/').next().unwrap();
        let named = mail.header("message-id").trim_matches(['<', '>']).to_owned();
        for (n, other) in [
            // By its id alone, by a name that somebody made up, or of the patient's address.
            format!("{id}@clinic.example"),
            format!("{id}.BwcHBwcHBwcHBwcHBwcHBw@clinic.example"),
            "johndoe@example.com".to_owned(),
            named.replacen("notif_", "notif_x", 1),
        ].into_iter().enumerate() {
            let forged = mail.raw.replace(&named, &other);
            tell(&stack, &failed(u32::try_from(n).unwrap(), "5.1.1", &forged)).await;
            tell(&stack, &complaint(u32::try_from(n).unwrap(), &forged)).await;
        }
        tell(&stack, &mail.raw).await;
        tell(&stack, "").await;
        let after = read(&stack, &path).await;
        assert_eq!((&after["status"], after.get("complainedAt")), (&"Sent".into(), None));
        assert!(reasons(&stack).await.is_empty());
    }

    plain: async fn a_report_that_comes_again_has_no_further_effect(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        let bounced = failed(1, "5.1.1", &mail.raw);
        tell(&stack, &bounced).await;
        let list = call(&stack, Role::Admin, Method::GET, "/api/notifications/suppressions", None).await.expect(200).json();
        let lift = format!("/api/notifications/suppressions/{}", list["items"][0]["suppressionId"].as_str().unwrap());
        let _ = call(&stack, Role::Admin, Method::DELETE, &lift, None).await.expect(200);
        let before = read(&stack, &path).await;
        tell(&stack, &bounced).await;
        // Nor another one on what has come back already.
        tell(&stack, &failed(2, "5.1.1", &mail.raw)).await;
        assert_eq!(read(&stack, &path).await, before);
        assert!(reasons(&stack).await.is_empty());

        // Handed on once more, it may come back once more: by a report on that one.
        let replay = format!("{path}/replay");
        let _ = call(&stack, Role::Receptionist, Method::POST, &replay, Some("{}")).await.expect(200);
        assert_eq!(crate::channels::until_not(&stack, "Queued", &path).await["status"], "Sent");
        let again = server.wait_for(2).await.remove(1);
        assert_ne!(again.header("message-id"), mail.header("message-id"));
        for (n, of_the_first) in [(1, &mail), (3, &mail)] {
            tell(&stack, &failed(n, "5.1.1", &of_the_first.raw)).await;
            tell(&stack, &complaint(n + 10, &of_the_first.raw)).await;
        }
        let read_again = read(&stack, &path).await;
        assert_eq!((&read_again["status"], read_again.get("complainedAt")), (&"Sent".into(), None));
        tell(&stack, &failed(4, "5.1.1", &again.raw)).await;
        assert_eq!(read(&stack, &path).await["status"], "Failed");
        assert_eq!(reasons(&stack).await, ["Bounce"]);
    }

    named: async fn each_mail_comes_back_to_an_address_of_its_own(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        let name = mail.header("message-id").trim_matches(['<', '>']).split('@').next().unwrap().to_owned();
        assert_eq!(mail.from, format!("bounces+{name}@clinic.example"));
        assert!(mail.from.split('@').next().unwrap().len() <= 64);
        // Whoever reports brings nothing along.
        let told = "Reporting-MTA: dns; mx.example\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n";
        tell(&stack, &report(1, &mail.from, ("delivery-status", told), "")).await;
        assert_eq!(read(&stack, &path).await["status"], "Failed");
        assert_eq!(reasons(&stack).await, ["Bounce"]);
    }

    unheard: async fn where_nobody_is_set_to_tell_nobody_is_heard(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        assert_eq!(mail.from, "no-reply@clinic.example");
        let good = failed(1, "5.1.1", &mail.raw);
        let _ = tell_as(&stack, Some(&format!("Bearer {TOKEN}")), &good).await.expect(404);
        assert_eq!(read(&stack, &path).await["status"], "Sent");
    }

    plain: async fn what_is_reported_is_in_the_audit_as_of_its_mail(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let (path, mail) = sent(&stack, &server, BODY).await;
        tell(&stack, &complaint(1, &mail.raw)).await;
        let database = stack.database(ServiceName::NotificationService);
        let (operation, patient) = (Some("mail_report".to_owned()), Some("12345".to_owned()));
        let filter = db::AuditFilter { operation, patient, limit: 9, ..db::AuditFilter::default() };
        let who = format!("report:{}", path.rsplit('/').next().unwrap());
        let found = db::audit_find(database.db(), &filter).await.unwrap();
        assert_eq!(found.iter().map(|it| it.entry.who.as_str()).collect::<Vec<_>>(), [who]);
    }
}
