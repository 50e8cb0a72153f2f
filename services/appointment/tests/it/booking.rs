//! Which times can be booked.

use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_time_that_is_taken_is_refused_for_everyone_with_what_is_free(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let booked = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        assert_eq!(booked.text, r#"{"appointmentId":"apt1","status":"Created"}"#);
        // The provider's, the patient's, and both; the whole and a part.
        for (patient, provider, time) in [
            ("67890", "prov001", "10:00"), ("67890", "prov001", "09:45"), ("67890", "prov001", "10:25"),
            ("12345", "prov002", "10:15"), ("12345", "prov001", "10:00"),
        ] {
            for who in [Who::from(Role::Admin), Who::from(Role::Receptionist), Who::patient(patient)] {
                let refused = book(&stack, who, &at("apt2", patient, provider, time)).await.expect(409);
                assert_eq!(refused.json()["code"], "appointment-overlap");
                let offered = offered(&refused);
                assert_eq!(offered.len(), 5);
                assert!(offered.contains(&format!("{MONDAY} 09:30")) && offered.contains(&format!("{MONDAY} 10:30")));
                assert!(!offered.contains(&format!("{MONDAY} 10:00")));
            }
        }
        let _ = get(&stack, "apt2").await.expect(404);
    }

    async fn back_to_back_is_fine_and_so_is_another_provider_with_another_patient(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        for (id, patient, provider, time) in [
            ("a", "12345", "prov001", "10:00"), ("b", "12345", "prov001", "09:30"), ("c", "12345", "prov001", "10:30"),
            ("d", "67890", "prov002", "10:00"),
        ] {
            let _ = book(&stack, Role::Admin, &at(id, patient, provider, time)).await.expect(201);
        }
    }

    async fn a_cancelled_time_is_free_again_and_so_is_a_moved_ones(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        let _ = book(&stack, Role::Admin, &at("apt2", "67890", "prov001", "10:00")).await.expect(201);
        let refused = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:15"})).await.expect(409);
        assert_eq!(refused.json()["code"], "appointment-overlap");
        // Its own time is not in its own way.
        assert!(offered(&refused).contains(&format!("{MONDAY} 11:00")));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "11:15"})).await.expect(200);
        let _ = cancel(&stack, "apt2").await.expect(200);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:15"})).await.expect(200);
        let longer = put(&stack, Role::Admin, "apt1", &json!({"durationMinutes": 105})).await.expect(200);
        assert!(warned(&longer).is_empty());
    }

    async fn outside_hours_staff_are_warned_and_a_patient_is_refused(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (time, code) in [("12:00", "outside-hours"), ("08:45", "outside-hours"), ("16:45", "outside-hours")] {
            let refused = book(&stack, Who::patient("12345"), &at("apt1", "12345", "prov001", time)).await.expect(409);
            assert_eq!(refused.json()["code"], code);
            assert_eq!(offered(&refused).len(), 5);
        }
        let booked = book(&stack, Role::Receptionist, &at("apt1", "12345", "prov001", "12:00")).await.expect(201);
        assert_eq!(warned(&booked), ["outside-hours"]);

        let past = json!({"patientId": "12345", "providerId": "prov001", "appointmentDate": "2026-01-14", "timeSlot": "10:00"});
        let refused = book(&stack, Who::patient("12345"), &past).await.expect(409);
        assert_eq!(refused.json()["code"], "outside-hours");
        let first = ["09:00", "09:30", "10:00", "10:30", "11:00"].map(|time| format!("{MONDAY} {time}"));
        assert_eq!(offered(&refused), first);
        assert_eq!(warned(&book(&stack, Who::clinician("prov001"), &past).await.expect(201)), ["in-the-past"]);
    }

    async fn moving_is_judged_as_booking_is(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let john = || Who::patient("12345");
        let _ = book(&stack, john(), &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        for patch in [json!({"timeSlot": "12:30"}), json!({"appointmentDate": "2026-01-14"}), json!({"durationMinutes": 240})] {
            let refused = put(&stack, john(), "apt1", &patch).await.expect(409);
            assert_eq!(refused.json()["code"], "outside-hours");
            assert!(!offered(&refused).is_empty() || patch["durationMinutes"] == 240);
        }
        let _ = put(&stack, john(), "apt1", &json!({"timeSlot": "14:00"})).await.expect(200);
        assert_eq!(warned(&put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "12:30"})).await.expect(200)), ["outside-hours"]);
        // What does not move it needs no good time.
        let _ = put(&stack, john(), "apt1", &json!({"status": "Confirmed"})).await.expect(200);
    }

    async fn clocks_that_change_are_the_providers_own(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let mut gap = at("apt1", "12345", "prov001", "02:30");
        gap["appointmentDate"] = json!("2026-03-29");
        let refused = book(&stack, Role::Admin, &gap).await.expect(422);
        assert_eq!(refused.faults(), ["timeSlot"]);
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let patch = json!({"appointmentDate": "2026-03-29", "timeSlot": "02:30"});
        assert_eq!(put(&stack, Role::Admin, "apt1", &patch).await.expect(422).faults(), ["timeSlot"]);
        // Half past two comes twice: the first is meant, an hour and a half before three.
        let fold = json!({"appointmentDate": "2026-10-25", "timeSlot": "02:30", "durationMinutes": 90});
        let _ = put(&stack, Role::Admin, "apt1", &fold).await.expect(200);
        patient(&stack, "67890").await;
        let mut three = at("apt2", "67890", "prov001", "03:00");
        three["appointmentDate"] = json!("2026-10-25");
        let _ = book(&stack, Role::Admin, &three).await.expect(201);
    }
}
