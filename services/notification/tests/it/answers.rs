//! One tap in a reminder: confirmed or called off, as the patient, once, and only of what was told.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use testkit::SmtpServer;

use super::*;
use crate::channels::{PUBLIC, channel_tests};
use crate::reminders::clinic;
use crate::unsubscribe::{by_mail, in_public};

pub(crate) const ALL: &[http_kit::Service] =
    &[patient::SERVICE, provider::SERVICE, appointment::SERVICE, notification::SERVICE];

pub(crate) async fn appointments(
    stack: &Arc<TestStack>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Reply {
    let body = body.map(|body| body.to_string());
    let service = ServiceName::AppointmentService;
    stack.call(service, Role::Receptionist, method, path, body.as_deref()).await
}

async fn appointment(stack: &Arc<TestStack>) -> Value {
    appointments(stack, Method::GET, "/api/appointments/apt001", None).await.expect(200).json()
}

/// Books an appointment, and waits for the patient's reminder of the day before.
async fn reminder(stack: &Arc<TestStack>, server: &SmtpServer) -> String {
    clinic(stack).await;
    let booking = json!({
        "appointmentId": "apt001", "patientId": "12345", "providerId": "prov001", "appointmentDate": "2026-01-20", "timeSlot": "10:00",
    });
    let _ = appointments(stack, Method::POST, "/api/appointments", Some(booking)).await.expect(201);
    for _ in 0..2_400 {
        if listed(stack, "appointmentId=apt001&type=reminder&patientId=12345").await.len() >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    stack.clock.advance(TimeDelta::days(4) + TimeDelta::minutes(90));
    for _ in 0..2_400 {
        let mails = server.mails();
        let is_it = |mail: &&testkit::smtp::Mail| {
            mail.to[0] == "johndoe@example.com" && mail.header("subject").starts_with("Reminder")
        };
        if let Some(mail) = mails.iter().find(is_it) {
            return mail.body.replace("\r\n", "\n");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no reminder came: {:?}", listed(stack, "appointmentId=apt001").await);
}

/// The paths of its two links.
pub(crate) async fn links(stack: &Arc<TestStack>, server: &SmtpServer) -> [String; 2] {
    let text = reminder(stack, server).await;
    ["I come: ", "I cancel: "].map(|before| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(before)).unwrap_or_else(|| panic!("{text}"));
        line.strip_prefix(PUBLIC).unwrap().to_owned()
    })
}

async fn open(stack: &Arc<TestStack>, method: Method, path: &str) -> Reply {
    testkit::stack::send(stack.request(ServiceName::NotificationService, method, path)).await
}

#[track_caller]
fn assert_over(reply: &Reply) {
    assert_eq!((reply.status, &reply.json()["code"]), (409, &json!("invalid-transition")), "{}", reply.text);
}

channel_tests! { services = crate::answers::ALL;
    in_public: async fn one_tap_confirms_once_and_the_other_calls_off(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let [confirm, cancel] = links(&stack, &server).await;
        for path in [&confirm, &cancel] {
            let page = open(&stack, Method::GET, path).await.expect(200);
            assert!(page.text.contains("<form method=\"post\">") && page.text.contains("January 20, 2026"), "{}", page.text);
        }
        assert_eq!(appointment(&stack).await["status"], "Scheduled", "looking changes nothing");
        assert!(!open(&stack, Method::POST, &confirm).await.expect(200).text.contains("<form"));
        assert_eq!(appointment(&stack).await["status"], "Confirmed");
        for method in [Method::POST, Method::GET] {
            assert_over(&open(&stack, method, &confirm).await);
        }
        let _ = open(&stack, Method::POST, &cancel).await.expect(200);
        let cancelled = appointment(&stack).await;
        assert_eq!((&cancelled["status"], &cancelled["cancelledBy"]), (&json!("Cancelled"), &json!("patient")));
        for path in [&confirm, &cancel] {
            assert_over(&open(&stack, Method::POST, path).await);
        }
        assert_eq!(appointment(&stack).await, cancelled);
    }

    in_public: async fn what_was_moved_or_has_begun_is_not_answered_by_an_old_link(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let [confirm, cancel] = links(&stack, &server).await;
        let moved = json!({"timeSlot": "11:00"});
        let _ = appointments(&stack, Method::PUT, "/api/appointments/apt001", Some(moved)).await.expect(200);
        for path in [&confirm, &cancel] {
            assert_over(&open(&stack, Method::POST, path).await);
        }
        let other = json!({
            "providerId": "prov002", "name": "Dr. Richard Roe", "specialization": "Cardiology",
            "contactInfo": {"phone": "+1234567891"},
        });
        let (service, path) = (ServiceName::ProviderService, "/api/providers");
        let _ = stack.call(service, Role::Admin, Method::POST, path, Some(&other.to_string())).await.expect(201);
        let elsewhere = json!({"timeSlot": "10:00", "providerId": "prov002"});
        let _ = appointments(&stack, Method::PUT, "/api/appointments/apt001", Some(elsewhere)).await.expect(200);
        for path in [&confirm, &cancel] {
            assert_over(&open(&stack, Method::POST, path).await);
        }
        let back = json!({"timeSlot": "10:00", "providerId": "prov001"});
        let _ = appointments(&stack, Method::PUT, "/api/appointments/apt001", Some(back)).await.expect(200);
        let before = appointment(&stack).await;
        stack.clock.advance(TimeDelta::days(1));
        for path in [&confirm, &cancel] {
            for method in [Method::GET, Method::POST] {
                assert_over(&open(&stack, method, path).await);
            }
        }
        assert_eq!(appointment(&stack).await, before);
    }

    in_public: async fn a_link_is_for_one_thing_and_signed_only_on_its_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let [confirm, cancel] = links(&stack, &server).await;
        let (unsigned, _) = cancel.rsplit_once('.').unwrap();
        let other = cancel.replace("/cancel/", "/confirm/");
        let unsubscribe = confirm.replace("/confirm/", "/unsubscribe/");
        let crossed = format!("{unsigned}.{}", confirm.rsplit_once('.').unwrap().1);
        for forged in [unsigned, &other, &unsubscribe, &crossed, &format!("{cancel}A"), &cancel[..cancel.len() - 1]] {
            for method in [Method::GET, Method::POST] {
                assert_eq!(open(&stack, method, forged).await.expect(404).json()["code"], "not-found", "{forged}");
            }
        }
        assert_eq!(appointment(&stack).await["status"], "Scheduled");
        // Whoever reads the list has no link that is good.
        let kept = listed(&stack, "appointmentId=apt001&type=reminder&status=Sent&to=johndoe@example.com").await;
        let body = kept[0]["body"].as_str().unwrap();
        assert!(body.contains(unsigned) && !body.contains(&cancel), "{body}");
        // Providers are asked nothing.
        let theirs = listed(&stack, "appointmentId=apt001&type=reminder&to=janedoe@example.com").await;
        assert!(!theirs.is_empty() && theirs.iter().all(|item| !item["body"].as_str().unwrap().contains("http")));
    }

    by_mail: async fn without_a_public_address_a_reminder_has_no_links(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let text = reminder(&stack, &server).await;
        assert!(!text.contains("http") && !text.contains("I come"), "{text}");
    }
}
