//! One click that ends mails of a kind (RFC 8058): which mails carry it, and what it does.

use serde_json::json;
use settings::{Integrations, MailSettings, MailTls};
use testkit::SmtpServer;
use testkit::smtp::Mail;

use super::*;
use crate::channels::{PUBLIC, channel_tests};
use crate::reminders::{STARTS, clinic, tell, told};

const CLINIC: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];
const POST: &str = "List-Unsubscribe=One-Click";

pub(crate) fn by_mail(outside: &mut Integrations, [port, _]: [u16; 2]) {
    outside.mail = Some(MailSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        from: "Clinic <no-reply@clinic.example>".to_owned(),
        username: None,
        password: None,
        dkim: None,
    });
}

pub(crate) fn in_public(outside: &mut Integrations, ports: [u16; 2]) {
    by_mail(outside, ports);
    outside.public_url = Some(format!("{PUBLIC}/"));
}

fn written(kind: &str, patient: Option<&str>) -> String {
    let mut mail = json!({"to": "johndoe@example.com", "subject": "x", "body": "y", "type": kind});
    if let Some(patient) = patient {
        mail["patientId"] = json!(patient);
    }
    mail.to_string()
}

/// The path of a mail's link.
fn path(mail: &Mail) -> String {
    let link = mail.header("list-unsubscribe");
    let url = link.strip_prefix('<').and_then(|link| link.strip_suffix('>')).unwrap();
    url.strip_prefix(PUBLIC).unwrap().to_owned()
}

/// As nobody in particular, with a form or none.
async fn open(stack: &Arc<TestStack>, method: Method, path: &str, form: Option<(&str, &str)>) -> Reply {
    let request = stack.request(ServiceName::NotificationService, method, path);
    let request = match form {
        Some((media_type, body)) => {
            request.header("content-type", media_type.to_owned()).body(body.to_owned())
        }
        None => request,
    };
    testkit::stack::send(request).await
}

async fn opt_outs(stack: &Arc<TestStack>, whose: &str) -> (Value, String) {
    let read = get(stack, &format!("/api/notifications/preferences/{whose}")).await.expect(200);
    (read.json()["optOuts"].clone(), read.header("etag").to_owned())
}

channel_tests! { services = crate::unsubscribe::CLINIC;
    in_public: async fn mail_that_can_be_opted_out_of_says_how(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let kinds = ["marketing", "billing", "alert", "reminder", "change", "message", "security"];
        for kind in kinds {
            let _ = send(&stack, "email", &written(kind, Some("12345"))).await.expect(201);
        }
        let _ = send(&stack, "email", &written("marketing", None)).await.expect(201);
        let critical = written("billing", Some("12345")).replacen('{', r#"{"critical": true,"#, 1);
        let _ = send(&stack, "email", &critical).await.expect(201);
        let mails = server.wait_for(kinds.len() + 2).await;
        let says: Vec<_> = mails.iter().map(|mail| mail.header("list-unsubscribe-post")).collect();
        assert_eq!(says, [POST, POST, POST, POST, POST, "", "", "", ""]);
        for mail in &mails {
            assert_eq!(mail.header("list-unsubscribe").is_empty(), mail.header("list-unsubscribe-post").is_empty());
        }
        assert!(!path(&mails[0]).contains("12345"), "it names nobody");
    }

    by_mail: async fn without_a_public_address_there_is_no_link(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let _ = send(&stack, "email", &written("marketing", Some("12345"))).await.expect(201);
        let mails = server.wait_for(1).await;
        assert_eq!((mails[0].header("list-unsubscribe"), mails[0].header("list-unsubscribe-post")), ("", ""));
    }

    in_public: async fn what_goes_to_somebody_else_is_not_theirs_to_end(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        for to in ["insurer@example.com", "JohnDoe@example.com"] {
            let mail = written("billing", Some("12345")).replace("johndoe@example.com", to);
            let _ = send(&stack, "email", &mail).await.expect(201);
        }
        let mails = server.wait_for(2).await;
        let says: Vec<_> = mails.iter().map(|mail| mail.header("list-unsubscribe-post")).collect();
        assert_eq!(says, ["", POST]);
    }

    in_public: async fn looking_changes_nothing_and_posting_ends_it_once(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let _ = send(&stack, "email", &written("marketing", Some("12345"))).await.expect(201);
        let path = path(&server.wait_for(1).await[0]);
        for _ in 0..2 {
            let page = open(&stack, Method::GET, &path, None).await.expect(200);
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert!(page.header("content-security-policy").contains("form-action 'self'"));
            assert!(page.text.contains("<form method=\"post\">"), "{}", page.text);
        }
        assert_eq!(opt_outs(&stack, "12345").await.0, Value::Null);
        let done = open(&stack, Method::POST, &path, Some(("application/x-www-form-urlencoded", POST))).await.expect(200);
        assert!(!done.text.contains("<form"), "{}", done.text);
        let (outs, version) = opt_outs(&stack, "12345").await;
        assert_eq!(outs, json!([{"channel": "Email", "type": "marketing"}]));
        // Again, as a browser does it and as RFC 8058 would rather have it.
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        for form in [None, Some(("application/x-www-form-urlencoded", "")), Some(("multipart/form-data; boundary=x", multipart))] {
            let _ = open(&stack, Method::POST, &path, form).await.expect(200);
        }
        assert_eq!(opt_outs(&stack, "12345").await, (outs, version));
        let refused = send(&stack, "email", &written("marketing", Some("12345"))).await.expect(409);
        assert_eq!(refused.json()["code"], "opted-out");
        // Also of whom nobody is named with the address.
        assert_eq!(send(&stack, "email", &written("marketing", None)).await.expect(409).json()["code"], "opted-out");
        let _ = send(&stack, "email", &written("billing", Some("12345"))).await.expect(201);
    }

    in_public: async fn each_who_is_told_of_an_appointment_ends_their_own(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let mails = server.wait_for(2).await;
        let to = |whom: &str| mails.iter().find(|mail| mail.to[0] == whom).unwrap();
        let _ = open(&stack, Method::POST, &path(to("janedoe@example.com")), None).await.expect(200);
        assert_eq!(opt_outs(&stack, "providers/prov001").await.0, json!([{"channel": "Email", "type": "change"}]));
        assert_eq!(opt_outs(&stack, "12345").await.0, Value::Null);
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        // The provider is told by text message from now on, which stays here.
        assert_eq!(told(&stack, "&type=change").await.len(), 2);
        let mails = server.wait_for(3).await;
        assert_eq!(mails[2].to, ["johndoe@example.com"]);
    }

    in_public: async fn a_link_that_is_not_ours_is_none(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        for kind in ["marketing", "billing"] {
            let _ = send(&stack, "email", &written(kind, Some("12345"))).await.expect(201);
        }
        let mails = server.wait_for(2).await;
        let (one, other) = (path(&mails[0]), path(&mails[1]));
        let signature = |path: &str| path.rsplit_once('.').unwrap().1.to_owned();
        let (start, own) = one.rsplit_once('.').unwrap();
        let flipped = if own.starts_with('A') { own.replacen('A', "B", 1) } else { format!("A{}", &own[1..]) };
        for forged in [
            format!("{start}.{}", signature(&other)),
            format!("{start}.{flipped}"),
            format!("{start}.{}", &own[1..]),
            format!("{start}.{own}A"),
            start.to_owned(),
            format!("/api/notifications/unsubscribe/notif_none.{own}"),
        ] {
            for method in [Method::GET, Method::POST] {
                let refused = open(&stack, method, &forged, None).await.expect(404);
                assert_eq!(refused.json()["code"], "not-found", "{forged}");
            }
        }
        assert_eq!(opt_outs(&stack, "12345").await.0, Value::Null);
        // What is gone with its patient ends nothing.
        let erased = json!({"id": "evt_1", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}});
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&erased.to_string())).await.expect(200);
        let _ = open(&stack, Method::POST, &one, None).await.expect(404);
    }
}
