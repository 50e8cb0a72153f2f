//! Who called an appointment off, why, and what kind of visit it was.

use super::*;

async fn cancel_as(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, query: &str) -> Reply {
    call(stack, who, Method::DELETE, &format!("/api/appointments/{id}{query}"), None).await
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn it_is_remembered_who_called_it_off_and_why(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (at_time, (who, by)) in [
            ("09:00", (Who::patient("12345"), "patient")), ("09:30", (Who::clinician("prov001"), "provider")),
            ("10:00", (Who::from(Role::Receptionist), "clinic")),
        ] {
            let _ = book(&stack, Role::Admin, &at(by, "12345", "prov001", at_time)).await.expect(201);
            let _ = cancel_as(&stack, who, by, "?reason=the%20knee%20is%20well").await.expect(200);
            let read = get(&stack, by).await.expect(200).json();
            assert_eq!((&read["cancelledBy"], &read["cancellationReason"]), (&json!(by), &json!("the knee is well")));
            let path = format!("/api/appointments/{by}/history");
            let history = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
            let last = &history["items"][1];
            assert_eq!(last["action"], "Cancelled");
            let fields: Vec<_> = last["changes"].as_array().unwrap().iter().map(|change| change["field"].clone()).collect();
            assert_eq!(fields, ["status", "cancellationReason", "cancelledBy"]);
            // Why is told to whom the reason of an appointment is told.
            let read = call(&stack, Role::Billing, Method::GET, &format!("/api/appointments/{by}"), None).await.expect(200);
            assert!(!read.text.contains("knee"), "{}", read.text);
            let history = call(&stack, Role::Billing, Method::GET, &path, None).await.expect(200);
            assert!(!history.text.contains("knee"), "{}", history.text);
        }
        let _ = book(&stack, Role::Admin, &at("long", "12345", "prov001", "11:00")).await.expect(201);
        let long = format!("?reason={}", "a".repeat(1001));
        assert_eq!(cancel_as(&stack, Role::Admin, "long", &long).await.expect(400).faults(), ["reason"]);
    }

    async fn a_change_to_cancelled_may_say_why_and_for_whom(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (id, time) in [("a", "09:00"), ("b", "09:30"), ("c", "10:00")] {
            let _ = book(&stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
        }
        let phoned = json!({"status": "Cancelled", "cancelledBy": "patient", "cancellationReason": "has phoned"});
        let _ = put(&stack, Role::Receptionist, "a", &phoned).await.expect(200);
        let read = get(&stack, "a").await.expect(200).json();
        assert_eq!((&read["cancelledBy"], &read["cancellationReason"]), (&json!("patient"), &json!("has phoned")));
        // The same again changes nothing.
        let _ = put(&stack, Role::Receptionist, "a", &phoned).await.expect(200);
        let _ = put(&stack, Who::clinician("prov001"), "b", &json!({"status": "Cancelled"})).await.expect(200);
        assert_eq!(get(&stack, "b").await.expect(200).json()["cancelledBy"], "provider");
        let not_theirs = json!({"status": "Cancelled", "cancelledBy": "clinic"});
        assert_eq!(put(&stack, Who::patient("12345"), "c", &not_theirs).await.expect(422).faults(), ["cancelledBy"]);
        for too_early in [json!({"cancelledBy": "patient"}), json!({"cancellationReason": "will not come", "status": "Confirmed"})] {
            let faults = put(&stack, Role::Admin, "c", &too_early).await.expect(422).faults();
            assert_eq!(faults.len(), 1, "{faults:?}");
        }
    }

    async fn a_visit_that_is_under_way_is_neither_moved_nor_missed(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let mut booking = at("apt1", "12345", "prov001", "09:00");
        booking["visitType"] = json!("Follow-up");
        let _ = book(&stack, Role::Receptionist, &booking).await.expect(201);
        for status in ["CheckedIn", "InProgress"] {
            let _ = put(&stack, Role::Receptionist, "apt1", &json!({"status": status})).await.expect(200);
        }
        for refused in [json!({"status": "NoShow"}), json!({"timeSlot": "10:00"}), json!({"status": "Scheduled"})] {
            assert_eq!(put(&stack, Role::Receptionist, "apt1", &refused).await.expect(409).json()["code"], "invalid-transition");
        }
        let found = call(&stack, Role::Admin, Method::GET, "/api/appointments?status=InProgress", None).await.expect(200).json();
        assert_eq!((&found["items"][0]["appointmentId"], &found["items"][0]["visitType"]), (&json!("apt1"), &json!("Follow-up")));
        let renamed = json!({"visitType": null, "status": "Completed"});
        let _ = put(&stack, Role::Receptionist, "apt1", &renamed).await.expect(200);
        let read = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&read["status"], read.get("visitType")), (&json!("Completed"), None));
        let _ = put(&stack, Who::patient("12345"), "apt1", &json!({"status": "InProgress"})).await.expect(403);
    }
}
