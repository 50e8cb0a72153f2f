//! What is not valid is refused by name and changes nothing.

use super::*;

async fn count(stack: &Arc<TestStack>) -> usize {
    let list = call(stack, Role::Admin, Method::GET, "/api/appointments", None).await.expect(200);
    list.json()["items"].as_array().unwrap().len()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn each_bad_booking_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (from, to, field) in [
            ("\"12345\"", "17", "patientId"),
            ("\"12345\"", "\"\"", "patientId"),
            ("\"12345\"", "\"nobody\"", "patientId"),
            ("\"prov001\"", "\"nobody\"", "providerId"),
            ("\"prov001\"", "\"../x\"", "providerId"),
            ("\"prov001\"", "null", "providerId"),
            ("\"timeSlot\": \"10:00\",", "", "timeSlot"),
            ("2024-08-01", "2024-02-30", "appointmentDate"),
            ("2024-08-01", "1.8.2024", "appointmentDate"),
            ("2024-08-01", "9999-12-31", "appointmentDate"),
            ("10:00", "25:00", "timeSlot"),
            ("10:00", "24:00", "timeSlot"),
            ("10:00", "10:00\\u0000", "timeSlot"),
            ("\"Scheduled\"", "\"Completed\"", "status"),
            ("\"Scheduled\"", "\"scheduled\"", "status"),
            ("\"status\"", "\"durationMinutes\": 4, \"status\"", "durationMinutes"),
            ("\"status\"", "\"durationMinutes\": -30, \"status\"", "durationMinutes"),
            ("\"status\"", "\"durationMinutes\": 30.5, \"status\"", "durationMinutes"),
            ("\"status\"", "\"reason\": \" \", \"status\"", "reason"),
            ("\"status\"", "\"appointmentId\": \"slots\", \"status\"", "appointmentId"),
            ("\"status\"", "\"room\": 1, \"status\"", "room"),
        ] {
            let body = DOCUMENTED.replacen(from, to, 1);
            let refused = call(&stack, Role::Admin, Method::POST, "/api/appointments", Some(&body)).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        let both = book(&stack, Role::Admin, &at("apt1", "nobody", "no-one", "10:00")).await.expect(422);
        assert_eq!(both.faults(), ["patientId", "providerId"]);
        for body in ["", "{", "nonsense"] {
            let _ = call(&stack, Role::Admin, Method::POST, "/api/appointments", Some(body)).await.expect(400);
        }
        assert_eq!(count(&stack).await, 0);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        for (patch, field) in [
            (json!({"appointmentId": "other"}), "appointmentId"),
            (json!({"patientId": "67890"}), "patientId"),
            (json!({"timeZone": "Europe/Paris"}), "timeZone"),
            (json!({"conflict": "ProviderRemoved"}), "conflict"),
            (json!({"providerId": "nobody"}), "providerId"),
            (json!({"providerId": null}), "providerId"),
            (json!({"appointmentDate": "2026-02-30"}), "appointmentDate"),
            (json!({"timeSlot": "10"}), "timeSlot"),
            (json!({"durationMinutes": 481}), "durationMinutes"),
            (json!({"durationMinutes": null}), "durationMinutes"),
            (json!({"status": "Gone"}), "status"),
            (json!({"reason": "x".repeat(1001)}), "reason"),
            (json!({"room": 1}), "room"),
        ] {
            assert_eq!(put(&stack, Role::Admin, "apt1", &patch).await.expect(422).faults(), [field], "{patch}");
        }
        let _ = call(&stack, Role::Admin, Method::PUT, "/api/appointments/apt1", Some("[]")).await.expect(400);
        let _ = put(&stack, Role::Admin, "other", &json!({})).await.expect(404);
        let _ = cancel(&stack, "other").await.expect(404);
        assert_eq!(get(&stack, "apt1").await.expect(200).header("etag"), "\"v1\"");
    }

    async fn null_clears_the_reason(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"reason": "knee"})).await.expect(200);
        assert_eq!(get(&stack, "apt1").await.expect(200).json()["reason"], "knee");
        let _ = put(&stack, Role::Admin, "apt1", &json!({"reason": null})).await.expect(200);
        assert_eq!(get(&stack, "apt1").await.expect(200).json()["reason"], Value::Null);
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        for (path, query, field) in [
            ("appointments", "limit=0", "limit"), ("appointments", "cursor=x", "cursor"),
            ("appointments", "status=Gone", "status"), ("appointments", "from=2024-02-30", "from"),
            ("appointments", "to=x", "to"), ("appointments", "patientId=a/b", "patientId"), ("appointments", "room=1", "room"),
            ("appointments/apt1/history", "limit=201", "limit"), ("appointments/apt1/history", "cursor=x", "cursor"),
            ("providers/prov001/slots", "durationMinutes=4", "durationMinutes"), ("providers/prov001/slots", "from=x", "from"),
            ("providers/prov001/slots", "from=2026-01-20&to=2026-01-19", "to"),
            ("providers/prov001/slots", "from=2026-01-20&to=2026-04-23", "to"),
        ] {
            let refused = call(&stack, Role::Admin, Method::GET, &format!("/api/{path}?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{path}?{query}");
        }
    }
}
