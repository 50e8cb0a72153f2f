//! Whose address is good no more is told by their next one.

use serde_json::json;
use settings::Integrations;
use testkit::SmtpServer;
use testkit::fake::Fake;

use super::*;
use crate::channels::{account, channel_tests, takes_all};
use crate::reminders::{STARTS, tell, told, until_told};
use crate::unsubscribe::by_mail;

const CLINIC: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];

fn by_mail_and_text(outside: &mut Integrations, ports: [u16; 2]) {
    by_mail(outside, ports);
    outside.sms = Some(account(ports[1], "AC1"));
}

/// A patient whose mailbox there is none of, and a provider.
async fn clinic(stack: &Arc<TestStack>) {
    let patient = json!({"patientId": "12345", "name": "John Doe", "dob": "1980-01-01",
        "contactInfo": {"email": "refused@example.com", "phone": "+1234567890"}});
    let provider = json!({"providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology",
        "contactInfo": {"email": "janedoe@example.com", "phone": "+1234567891"}});
    for (service, path, body) in [
        (ServiceName::PatientService, "/api/patients", patient),
        (ServiceName::ProviderService, "/api/providers", provider),
    ] {
        let _ =
            stack.call(service, Role::Admin, Method::POST, path, Some(&body.to_string())).await.expect(201);
    }
}

/// Has the address suppressed by a mail to it.
async fn bounce(stack: &Arc<TestStack>) {
    let mail = MAIL.replace("johndoe@example.com", "refused@example.com");
    assert_eq!(send(stack, "email", &mail).await.expect(201).json()["status"], "Failed");
    let _ = send(stack, "email", &mail).await.expect(409);
}

channel_tests! { services = crate::bounced::CLINIC;
    by_mail_and_text: async fn who_is_written_to_no_more_by_mail_is_told_by_text_message(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (mail, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        clinic(&stack).await;
        bounce(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until_told(&stack, "&patientId=12345&channel=Sms&to=%2B1234567890&type=creation", &["creation +1234567890 Sent 2026-01-15T09:00:00Z"]).await;
        assert_eq!(told(&stack, "&to=%2B1234567890&type=reminder").await.len(), 2);
        assert!(told(&stack, "&to=refused@example.com").await.is_empty());
        stack.clock.advance(chrono::TimeDelta::days(4));
        until_told(&stack, "&to=%2B1234567890&type=reminder&status=Sent", &["reminder +1234567890 Sent 2026-01-19T09:00:00Z"]).await;
        drop((mail, texts));
    }

    by_mail_and_text: async fn what_bounces_just_now_goes_by_text_message_at_once(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (mail, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until_told(&stack, "&to=%2B1234567890&type=creation&status=Sent", &["creation +1234567890 Sent 2026-01-15T09:00:00Z"]).await;
        let said = listed(&stack, "type=creation&to=%2B1234567890").await;
        assert_eq!((&said[0]["error"], &said[0]["subject"]), (&Value::Null, &Value::Null));
        drop((mail, texts));
    }

    by_mail: async fn who_has_no_other_way_is_not_told_and_the_list_says_why(stack: Arc<TestStack>, ports: [u16; 2]) {
        let mail = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        // Their number is known, and nobody takes text messages: what went there would go nowhere.
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until_told(&stack, "&patientId=12345&type=creation&status=Failed", &["creation refused@example.com Failed 2026-01-15T09:00:00Z"]).await;
        let failed = listed(&stack, "type=creation&status=Failed").await;
        assert!(failed[0]["error"].as_str().unwrap().contains("550"), "{failed:?}");
        stack.clock.advance(chrono::TimeDelta::days(4));
        until_told(&stack, "&to=refused@example.com&type=reminder&status=Failed", &["reminder refused@example.com Failed 2026-01-19T09:00:00Z"]).await;
        let failed = listed(&stack, "type=reminder&status=Failed").await;
        assert_eq!(failed[0]["error"], "The address is suppressed.");
        drop(mail);
    }
}
