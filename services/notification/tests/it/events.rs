//! What other services tell: a patient erased, an appointment outside a provider's hours.

use db::Subject;

use super::*;

async fn deliver(stack: &Arc<TestStack>, id: &str, kind: &str, data: &str) -> Reply {
    let event = format!(
        r#"{{"id": "{id}", "occurredAt": "2026-01-15T08:00:00Z", "type": "{kind}", "data": {data}}}"#
    );
    call(stack, Role::Service, Method::POST, "/internal/events", Some(&event)).await
}

fn notice(appointment: &str, outside: bool) -> String {
    format!(
        r#"{{"appointmentId": "{appointment}", "patientId": "12345", "providerId": "prov001", "outsideHours": {outside}}}"#
    )
}

async fn add_provider(stack: &Arc<TestStack>, contact: &str) {
    let body = format!(
        r#"{{"providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology", "contactInfo": {contact}}}"#
    );
    let path = "/api/providers";
    let _ = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::POST, path, Some(&body))
        .await
        .expect(201);
}

testkit::stack_tests! { services = [notification::SERVICE];
    async fn what_concerns_an_erased_patient_is_gone_for_good(stack: Arc<TestStack>) {
        let theirs = send(&stack, "email", &about(MAIL, "12345")).await.expect(201);
        let other = send(&stack, "email", &about(MAIL, "67890")).await.expect(201);
        let nobodys = send(&stack, "email", MAIL).await.expect(201);
        let told = deliver(&stack, "evt_1", "patient.erased.v1", r#"{"patientId": "12345"}"#).await.expect(200);
        assert_eq!(told.text, r#"{"firstTime":true}"#);
        let _ = get(&stack, theirs.header("location")).await.expect(404);
        assert_eq!(listed(&stack, "").await.len(), 2);
        for kept in [other, nobodys] {
            let _ = get(&stack, kept.header("location")).await.expect(200);
        }
        let vault = stack.database(ServiceName::NotificationService).db().vault();
        assert!(vault.is_destroyed(&Subject::Patient("12345")).await.unwrap());

        let again = deliver(&stack, "evt_1", "patient.erased.v1", r#"{"patientId": "12345"}"#).await.expect(200);
        assert_eq!(again.text, r#"{"firstTime":false}"#);
        let late = send(&stack, "email", &about(MAIL, "12345")).await.expect(422);
        assert_eq!(late.faults(), ["patientId"]);
    }
}

testkit::stack_tests! { services = [provider::SERVICE, notification::SERVICE];
    async fn a_provider_is_told_of_an_appointment_outside_their_hours_once_and_of_nothing_else(stack: Arc<TestStack>) {
        add_provider(&stack, r#"{"email": "janedoe@example.com"}"#).await;
        let _ = deliver(&stack, "evt_1", "appointment.booked.v1", &notice("apt001", false)).await.expect(200);
        let _ = deliver(&stack, "evt_2", "appointment.cancelled.v1", &notice("apt001", true)).await.expect(200);
        assert!(listed(&stack, "").await.is_empty());
        for (event, kind) in [("evt_3", "booked"), ("evt_3", "booked"), ("evt_4", "rescheduled")] {
            let _ = deliver(&stack, event, &format!("appointment.{kind}.v1"), &notice("apt001", true)).await.expect(200);
        }
        let told = listed(&stack, "to=janedoe@example.com&patientId=12345").await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[0]["subject"], "An appointment outside your hours");
        let text = told[0]["body"].as_str().unwrap();
        assert!(text.contains("apt001") && !text.contains("12345"), "{text}");
    }

    async fn a_provider_is_told_what_came_of_a_referral_and_neither_whose_nor_why(stack: Arc<TestStack>) {
        add_provider(&stack, r#"{"email": "janedoe@example.com"}"#).await;
        let data = r#"{"referralId": "ref_1", "patientId": "12345", "providerId": "prov001", "status": "Accepted"}"#;
        for _ in 0..2 {
            let _ = deliver(&stack, "evt_1", "referral.changed.v1", data).await.expect(200);
        }
        let told = listed(&stack, "to=janedoe@example.com&patientId=12345").await;
        assert_eq!(told.len(), 1);
        let text = told[0]["body"].as_str().unwrap();
        assert!(text.contains("ref_1") && text.contains("accepted") && !text.contains("12345"), "{text}");
    }

    async fn a_provider_who_is_gone_or_has_no_mail_holds_nothing_up(stack: Arc<TestStack>) {
        let gone = deliver(&stack, "evt_1", "appointment.booked.v1", &notice("apt001", true)).await.expect(200);
        assert_eq!(gone.text, r#"{"firstTime":true}"#);
        add_provider(&stack, r#"{"phone": "+1234567890"}"#).await;
        let _ = deliver(&stack, "evt_2", "appointment.booked.v1", &notice("apt002", true)).await.expect(200);
        assert!(listed(&stack, "").await.is_empty());
    }

    async fn a_provider_is_told_of_a_credential_that_ends_soon_once(stack: Arc<TestStack>) {
        add_provider(&stack, r#"{"email": "janedoe@example.com"}"#).await;
        let data = r#"{"credentialId": "cred_1", "providerId": "prov001", "expiresOn": "2026-03-01"}"#;
        for _ in 0..2 {
            let _ = deliver(&stack, "evt_1", "credential.expiring.v1", data).await.expect(200);
        }
        let told = listed(&stack, "to=janedoe@example.com").await;
        assert_eq!(told.len(), 1);
        let text = told[0]["body"].as_str().unwrap();
        assert!(text.contains("cred_1") && text.contains("2026-03-01"), "{text}");
    }

    async fn of_an_erased_patients_appointment_nobody_is_told(stack: Arc<TestStack>) {
        add_provider(&stack, r#"{"email": "janedoe@example.com"}"#).await;
        let _ = deliver(&stack, "evt_1", "patient.erased.v1", r#"{"patientId": "12345"}"#).await.expect(200);
        let late = deliver(&stack, "evt_2", "appointment.booked.v1", &notice("apt001", true)).await.expect(200);
        assert_eq!(late.text, r#"{"firstTime":true}"#);
        assert!(listed(&stack, "").await.is_empty());
    }
}

testkit::stack_tests! { services = [notification::SERVICE];
    async fn while_the_provider_service_is_away_the_event_is_to_come_again(stack: Arc<TestStack>) {
        let data = notice("apt001", true);
        let _ = deliver(&stack, "evt_1", "appointment.booked.v1", &data).await.expect(503);
        let _ = deliver(&stack, "evt_1", "appointment.booked.v1", &data).await.expect(503);
        let _ = deliver(&stack, "evt_2", "appointment.booked.v1", &notice("apt001", false)).await.expect(200);
    }
}
