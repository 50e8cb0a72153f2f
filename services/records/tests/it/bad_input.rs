//! What is not valid is refused by name and changes nothing.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn each_bad_record_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let long = format!("\"{}\"", "x".repeat(10_240));
        let many = format!("[{}]", vec!["\"Tylenol\""; 101].join(","));
        for (from, to, field) in [
            ("2024-08-01", "2024-02-30", "date"),
            ("2024-08-01", "2999-01-01", "date"),
            ("2024-08-01", "2199-12-31", "date"),
            ("2024-08-01", "01.08.2024", "date"),
            ("\"2024-08-01\"", "20240801", "date"),
            ("\"date\": \"2024-08-01\",", "", "date"),
            ("\"Flu\"", "\"\"", "diagnosis"),
            ("\"Flu\"", "null", "diagnosis"),
            ("\"Flu\"", "17", "diagnosis"),
            ("\"Flu\"", "\"F\\u0000lu\"", "diagnosis"),
            ("\"Flu\"", &long, "diagnosis"),
            ("\"diagnosis\": \"Flu\",", "", "diagnosis"),
            ("\"Rest and hydration\"", "\" \"", "treatment"),
            ("\"Rest and hydration\"", "[]", "treatment"),
            ("\"Rest and hydration\"", &long, "treatment"),
            ("[\"Tylenol\"]", "\"Tylenol\"", "prescriptions"),
            ("[\"Tylenol\"]", &many, "prescriptions"),
            ("\"Tylenol\"", "\"\"", "prescriptions[0]"),
            ("\"Tylenol\"", "\"Tylenol\", 1", "prescriptions[1]"),
            ("\"Tylenol\"", &long, "prescriptions[0]"),
            ("\"diagnosis\"", "\"symptoms\": 1, \"diagnosis\"", "symptoms"),
            ("\"12345\"", "\"67890\"", "patientId"),
            ("\"12345\"", "\"../x\"", "patientId"),
            ("\"12345\"", "null", "patientId"),
            ("\"rec001\"", "\"a/b\"", "recordId"),
            ("\"rec001\"", "\"search\"", "recordId"),
        ] {
            let refused = RECORDS.post(&stack, &RECORD.replacen(from, to, 1)).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{from} → {to}: {}", refused.text);
        }
        for body in ["", "{", "nonsense", "{\"recordId\":\"a\0\"}"] {
            let _ = RECORDS.post(&stack, body).await.expect(400);
        }
        assert_eq!(RECORDS.found(&stack, Role::Admin, "").await.len(), 0);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        for (patch, field) in [
            (r#"{"diagnosis": null}"#, "diagnosis"),
            (r#"{"diagnosis": ""}"#, "diagnosis"),
            (r#"{"date": null}"#, "date"),
            (r#"{"date": "2999-01-01"}"#, "date"),
            (r#"{"prescriptions": ["a", ""]}"#, "prescriptions[1]"),
            (r#"{"prescriptions": {"a": 1}}"#, "prescriptions"),
            (r#"{"recordId": "other"}"#, "recordId"),
            (r#"{"patientId": "67890"}"#, "patientId"),
            (r#"{"patientId": null}"#, "patientId"),
            (r#"{"symptoms": "x"}"#, "symptoms"),
        ] {
            let refused = RECORDS.put(&stack, "rec001", patch).await.expect(422);
            assert_eq!(refused.faults(), [field], "{patch}: {}", refused.text);
        }
        let _ = RECORDS.put(&stack, "rec001", "[]").await.expect(400);
        let _ = RECORDS.put(&stack, "unknown", "{}").await.expect(404);
        let _ = RECORDS.delete(&stack, "unknown").await.expect(404);
        assert_eq!(RECORDS.get(&stack, "rec001").await.expect(200).header("etag"), "\"v1\"");
    }

    async fn ids_are_accepted_when_equal(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        let whole = RECORDS.get(&stack, "rec001").await.expect(200);
        let _ = RECORDS.put(&stack, "rec001", &whole.text).await.expect(200);
        assert_eq!(RECORDS.get(&stack, "rec001").await.expect(200).text, whole.text);
    }

    async fn who_may_not_is_told_so_before_anything_else(stack: Arc<TestStack>) {
        let without = stack.request(ServiceName::MedicalRecordsService, Method::POST, "/api/records").body("nonsense");
        let _ = testkit::stack::send(without).await.expect(401);
        for role in [Role::Receptionist, Role::Billing, Role::Patient, Role::PrivacyOfficer, Role::Service] {
            let _ = RECORDS.call(&stack, role, Method::POST, "/api/records", Some("nonsense")).await.expect(403);
        }
        let _ = RECORDS.call(&stack, Role::Receptionist, Method::GET, "/api/records", None).await.expect(403);
        let _ = RECORDS.call(&stack, Role::Clinician, Method::DELETE, "/api/records/rec001", None).await.expect(403);
        let _ = RECORDS.call(&stack, Role::Admin, Method::POST, "/internal/events", Some("{}")).await.expect(403);
    }
}

testkit::stack_tests! { services = [records::SERVICE, patient::SERVICE];
    async fn a_stolen_key_of_another_service_reads_no_record(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        for thief in ServiceName::ALL {
            let token = stack.stolen_token(thief);
            for (method, path) in [
                (Method::GET, "/api/records"), (Method::GET, "/api/records?patientId=12345"), (Method::GET, "/api/records/rec001"),
                (Method::PUT, "/api/records/rec001"), (Method::DELETE, "/api/records/rec001"), (Method::POST, "/api/records"),
            ] {
                let request = stack.request(ServiceName::MedicalRecordsService, method.clone(), path).bearer_auth(&token);
                let refused = testkit::stack::send(request.header("content-type", "application/json").body(RECORD)).await;
                assert_eq!(refused.status, 403, "{thief}: {method} {path}: {}", refused.text);
                assert!(!refused.text.contains("Flu"));
            }
        }
    }

    async fn who_tells_nobody_anything_erases_no_record(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        let event = r#"{"id": "evt_1", "occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}}"#;
        for thief in [ServiceName::NotificationService, ServiceName::BillingService, ServiceName::AuthService] {
            let request = stack.request(ServiceName::MedicalRecordsService, Method::POST, "/internal/events");
            let request = request.bearer_auth(stack.stolen_token(thief)).header("content-type", "application/json").body(event);
            let _ = testkit::stack::send(request).await.expect(403);
        }
        let _ = RECORDS.get(&stack, "rec001").await.expect(200);
    }
}

testkit::stack_tests! { services = [records::SERVICE];
    async fn while_the_patient_service_is_down_no_record_is_created(stack: Arc<TestStack>) {
        let refused = RECORDS.post(&stack, RECORD).await.expect(503);
        assert_eq!((refused.json()["code"].as_str(), refused.header("retry-after")), (Some("unavailable"), "1"));
        assert_eq!(RECORDS.found(&stack, Role::Admin, "").await.len(), 0);
        // What is wrong in any case is told in any case.
        assert_eq!(RECORDS.post(&stack, &RECORD.replace("Flu", "")).await.expect(422).faults(), ["diagnosis"]);
    }
}
