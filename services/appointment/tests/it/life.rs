//! An appointment's life here: booked, read, moved, cancelled.

use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn the_documents_appointment_is_booked_read_moved_and_cancelled(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let booked = call(&stack, Role::Admin, Method::POST, "/api/appointments", Some(DOCUMENTED)).await.expect(201);
        let id = booked.json()["appointmentId"].as_str().unwrap().to_owned();
        assert_eq!(booked.json()["status"], "Created");
        assert_eq!(warned(&booked), ["outside-hours", "in-the-past"]);
        assert_eq!(booked.header("location"), format!("/api/appointments/{id}"));
        assert_eq!(booked.header("etag"), "\"v1\"");

        let read = get(&stack, &id).await.expect(200).json();
        assert_eq!(read["appointmentId"], *id);
        let documented: Value = serde_json::from_str(DOCUMENTED).unwrap();
        for (member, value) in documented.as_object().unwrap() {
            assert_eq!(&read[member], value, "{member}");
        }
        assert_eq!(read["timeZone"], "Europe/Berlin");

        let patch = json!({"appointmentDate": "2024-08-02", "timeSlot": "11:00", "status": "Rescheduled"});
        let updated = put(&stack, Role::Admin, &id, &patch).await.expect(200);
        assert_eq!((&updated.json()["appointmentId"], &updated.json()["status"]), (&json!(id), &json!("Updated")));
        assert_eq!(warned(&updated), ["outside-hours", "in-the-past"]);
        let read = get(&stack, &id).await.expect(200);
        assert_eq!(read.header("etag"), "\"v2\"");
        for (member, value) in patch.as_object().unwrap() {
            assert_eq!(&read.json()[member], value, "{member}");
        }

        for _ in 0..2 {
            let cancelled = cancel(&stack, &id).await.expect(200);
            assert_eq!(cancelled.text, format!(r#"{{"status":"Cancelled","appointmentId":"{id}"}}"#));
            let read = get(&stack, &id).await.expect(200);
            assert_eq!((read.json()["status"].as_str(), read.header("etag")), (Some("Cancelled"), "\"v3\""));
        }
    }

    async fn moved_without_a_status_it_is_rescheduled(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        let _ = book(&stack, Role::Receptionist, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let moved = put(&stack, Role::Receptionist, "apt1", &json!({"providerId": "prov002", "durationMinutes": 60})).await;
        assert!(warned(&moved.expect(200)).is_empty());
        let read = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&read["status"], &read["providerId"], &read["durationMinutes"]), (&json!("Rescheduled"), &json!("prov002"), &json!(60)));
    }

    async fn what_is_over_stays_as_it_is(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (at_time, last) in [("09:00", "Completed"), ("10:00", "Cancelled"), ("11:00", "NoShow")] {
            let _ = book(&stack, Role::Admin, &at(last, "12345", "prov001", at_time)).await.expect(201);
            let _ = put(&stack, Role::Admin, last, &json!({"status": last})).await.expect(200);
            for patch in [json!({"status": "Confirmed"}), json!({"timeSlot": "16:00"}), json!({"reason": "knee"})] {
                let refused = put(&stack, Role::Admin, last, &patch).await.expect(409).json();
                assert_eq!(refused["code"], "invalid-transition");
                assert!(refused["detail"].as_str().unwrap().contains(last), "{refused}");
            }
            let whole = get(&stack, last).await.expect(200);
            let same = put(&stack, Role::Admin, last, &whole.json()).await.expect(200);
            assert_eq!((same.header("etag"), whole.header("etag")), ("\"v2\"", "\"v2\""));
            let status = if last == "Cancelled" { 200 } else { 409 };
            let _ = cancel(&stack, last).await.expect(status);
        }
    }

    async fn an_id_once_used_is_never_used_again(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        for time in ["09:00", "10:00"] {
            let refused = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", time)).await.expect(409);
            assert_eq!((refused.json()["code"].as_str(), refused.faults()), (Some("already-exists"), vec!["appointmentId".to_owned()]));
        }
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(409);
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        for method in [Method::PUT, Method::DELETE] {
            let request = stack
                .request(ServiceName::AppointmentService, method, "/api/appointments/apt1")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("if-match", "\"v7\"")
                .body(r#"{"reason": "knee"}"#);
            let _ = testkit::stack::send(request).await.expect(412);
        }
        assert_eq!(get(&stack, "apt1").await.expect(200).header("etag"), "\"v1\"");
    }

    async fn a_repeated_post_with_the_same_key_books_once(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let post = |body: String| {
            let request = stack
                .request(ServiceName::AppointmentService, Method::POST, "/api/appointments")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("idempotency-key", "k-1")
                .body(body);
            testkit::stack::send(request)
        };
        let first = post(DOCUMENTED.to_owned()).await.expect(201);
        let again = post(DOCUMENTED.to_owned()).await.expect(201);
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        let _ = post(DOCUMENTED.replace("10:00", "11:00")).await.expect(422);
        let list = call(&stack, Role::Admin, Method::GET, "/api/appointments", None).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
    }

    async fn no_file_holds_a_readable_reason_or_status(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let mut body = at("apt1", "12345", "prov001", "09:00");
        body["reason"] = json!("a swollen knee");
        let _ = book(&stack, Role::Admin, &body).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"status": "NoShow"})).await.expect(200);
        let words = ["swollen", "noshow", "scheduled", "usr_admin", "europe/berlin"];
        stack.database(ServiceName::AppointmentService).no_file_holds(&words);
    }
}
