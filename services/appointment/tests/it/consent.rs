//! What a patient does not share is not there for whom they do not share it with; what is with somebody is theirs to know of.

use testkit::patients::{deny, share_again};

use super::care::{list, read, said, two};
use super::*;

const APPOINTMENTS: &str = r#"["appointments"]"#;

async fn until_status(stack: &Arc<TestStack>, who: &Who, id: &str, status: u16) {
    until(|| async { read(stack, who, id).await.status == status }).await;
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, appointment::SERVICE];
    async fn the_front_desk_does_not_see_what_a_patient_keeps_from_it(stack: Arc<TestStack>) {
        two(&stack).await;
        let desk = Who::from(Role::Receptionist);
        let consent = deny(&stack, "12345", r#"{"role": "receptionist"}"#, APPOINTMENTS).await;
        until_status(&stack, &desk, "mine", 404).await;
        assert_eq!(said(&read(&stack, &desk, "mine").await), said(&read(&stack, &desk, "unknown").await));
        let _ = read(&stack, &desk, "mine/history").await.expect(404);
        let _ = put(&stack, desk.clone(), "mine", &json!({"status": "Confirmed"})).await.expect(404);
        let _ = call(&stack, desk.clone(), Method::DELETE, "/api/appointments/mine", None).await.expect(404);
        for (query, ids) in [
            ("", vec!["other"]), ("patientId=12345", vec![]), ("providerId=prov001", vec![]), ("status=Scheduled", vec!["other"]),
            ("limit=1", vec!["other"]), ("providerId=prov001&patientId=12345", vec![]),
        ] {
            assert_eq!(list(&stack, &desk, query).await, ids, "{query}");
            let page = call(&stack, desk.clone(), Method::GET, &format!("/api/appointments?{query}"), None).await.json();
            assert_eq!(page["nextCursor"], Value::Null, "{query}");
        }
        // A time that is taken would tell them when the patient comes.
        let refused = book(&stack, desk.clone(), &at("new", "12345", "prov001", "10:00")).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
        for who in [Role::Admin.into(), Role::Billing.into(), Who::patient("12345")] {
            let _ = read(&stack, &who, "mine").await.expect(200);
            assert!(list(&stack, &who, "").await.contains(&"mine".to_owned()), "{who:?}");
        }
        share_again(&stack, "12345", &consent).await;
        until_status(&stack, &desk, "mine", 200).await;
        assert_eq!(list(&stack, &desk, "").await, ["mine", "other"]);
    }

    async fn a_clinician_sees_those_with_them_and_not_the_others_that_are_kept_from_them(stack: Arc<TestStack>) {
        two(&stack).await;
        let _ = book(&stack, Role::Admin, &at("sent", "12345", "prov002", "14:00")).await.expect(201);
        let doctor = Who::clinician("prov001");
        assert_eq!(list(&stack, &doctor, "").await, ["mine", "sent"]);
        let _ = deny(&stack, "12345", r#"{"provider": "prov001"}"#, APPOINTMENTS).await;
        until_status(&stack, &doctor, "sent", 404).await;
        let _ = read(&stack, &doctor, "mine").await.expect(200);
        for query in ["", "patientId=12345"] {
            assert_eq!(list(&stack, &doctor, query).await, ["mine"], "{query}");
        }
        let _ = put(&stack, doctor.clone(), "mine", &json!({"status": "Confirmed"})).await.expect(200);
        let _ = put(&stack, doctor.clone(), "sent", &json!({"status": "Confirmed"})).await.expect(404);
        // Their colleague is not restricted.
        assert_eq!(list(&stack, &Who::clinician("prov002"), "").await, ["mine", "other", "sent"]);
        // In an emergency they see the rest.
        let glass = json!({
            "id": "evt_glass", "occurredAt": "2026-01-15T09:00:00Z", "type": "glass.broken.v1",
            "data": {"grantId": "grant_1", "patientId": "12345", "userId": "usr_prov001", "until": "2026-01-15T10:00:00Z"},
        });
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&glass.to_string())).await.expect(200);
        let _ = read(&stack, &doctor, "sent").await.expect(200);
        assert_eq!(list(&stack, &doctor, "").await, ["mine", "sent"]);
        // And change no more of it than before.
        let _ = put(&stack, doctor.clone(), "sent", &json!({"status": "Confirmed"})).await.expect(403);
        let _ = book(&stack, doctor.clone(), &at("new", "12345", "prov001", "15:00")).await.expect(403);
        let _ = put(&stack, doctor, "mine", &json!({"timeSlot": "10:30"})).await.expect(200);
    }
}
