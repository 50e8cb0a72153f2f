//! A patient's own account: their own appointments, and no others.

use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_patient_books_for_themselves_alone(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let _ = book(&stack, Who::patient("12345"), &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        for who in [Who::patient("12345"), Who::from(Role::Patient)] {
            // Another's id looks like nobody's.
            let others = book(&stack, who.clone(), &at("apt2", "67890", "prov001", "10:00")).await.expect(422);
            let nobodys = book(&stack, who, &at("apt2", "nobody", "prov001", "10:00")).await.expect(422);
            assert_eq!((others.faults(), &others.text), (vec!["patientId".to_owned()], &nobodys.text));
        }
    }

    async fn a_patient_sees_moves_and_cancels_their_own_alone(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let (john, jane) = (|| Who::patient("12345"), || Who::patient("67890"));
        let _ = book(&stack, john(), &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let _ = book(&stack, jane(), &at("apt2", "67890", "prov001", "10:00")).await.expect(201);
        for path in ["/api/appointments/apt1", "/api/appointments/apt1/history"] {
            let _ = call(&stack, john(), Method::GET, path, None).await.expect(200);
            let _ = call(&stack, jane(), Method::GET, path, None).await.expect(404);
            let _ = call(&stack, Role::Patient, Method::GET, path, None).await.expect(404);
        }
        let _ = put(&stack, jane(), "apt1", &json!({"reason": "knee"})).await.expect(404);
        let _ = call(&stack, jane(), Method::DELETE, "/api/appointments/apt1", None).await.expect(404);
        for (query, count) in [("", 1), ("?patientId=12345", 1), ("?patientId=67890", 0), ("?providerId=prov001", 1)] {
            let list = call(&stack, john(), Method::GET, &format!("/api/appointments{query}"), None).await.expect(200);
            assert_eq!(list.json()["items"].as_array().unwrap().len(), count, "{query}");
        }
        let list = call(&stack, Role::Patient, Method::GET, "/api/appointments", None).await.expect(200);
        assert_eq!(list.json()["items"], json!([]));
        let _ = put(&stack, john(), "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        let _ = call(&stack, john(), Method::DELETE, "/api/appointments/apt1", None).await.expect(200);
    }

    async fn what_happened_at_the_clinic_the_clinic_says(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let _ = put(&stack, Who::patient("12345"), "apt1", &json!({"status": "Confirmed"})).await.expect(200);
        for status in ["CheckedIn", "Completed", "NoShow"] {
            let _ = put(&stack, Who::patient("12345"), "apt1", &json!({"status": status})).await.expect(403);
        }
        let _ = put(&stack, Who::clinician("prov001"), "apt1", &json!({"status": "CheckedIn"})).await.expect(200);
        let _ = put(&stack, Who::patient("12345"), "apt1", &json!({"reason": "knee"})).await.expect(200);
    }

    async fn who_may_not_book_is_told_so_before_anything_else(stack: Arc<TestStack>) {
        for role in [Role::Billing, Role::Service, Role::PrivacyOfficer] {
            let _ = call(&stack, role, Method::POST, "/api/appointments", Some("nonsense")).await.expect(403);
        }
        let _ = call(&stack, Role::PrivacyOfficer, Method::GET, "/api/appointments", None).await.expect(403);
        let _ = call(&stack, Role::Admin, Method::POST, "/internal/events", Some("{}")).await.expect(403);
        let without = stack.request(ServiceName::AppointmentService, Method::GET, "/api/appointments");
        let _ = testkit::stack::send(without).await.expect(401);
    }
}
