//! What is not valid is refused by name and changes nothing.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE];
    async fn each_bad_registration_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        let long = "x".repeat(10_240);
        for (from, to, field) in [
            ("\"John Doe\"", "17", "name"),
            ("\"John Doe\"", "\"\"", "name"),
            ("\"John Doe\"", "\"John\\u0000Doe\"", "name"),
            ("\"John Doe\"", &format!("\"{long}\""), "name"),
            ("\"name\": \"John Doe\",", "", "name"),
            ("1980-01-01", "2024-02-30", "dob"),
            ("1980-01-01", "2999-01-01", "dob"),
            ("johndoe@example.com", "johndoe", "contactInfo.email"),
            ("+1234567890", "none", "contactInfo.phone"),
            ("\"name\"", "\"surname\": 1, \"name\"", "surname"),
            ("\"phone\"", "\"fax\": 1, \"phone\"", "contactInfo.fax"),
            ("[\"Penicillin\"]", "\"Penicillin\"", "medicalHistory.allergies"),
            ("\"name\"", "\"patientId\": \"../x\", \"name\"", "patientId"),
        ] {
            let body = JOHN.replacen(from, to, 1);
            let refused = PATIENTS.post(&stack, &body).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        for body in ["", "{", "nonsense", "{\"name\":\"a\0\"}"] {
            let _ = PATIENTS.post(&stack, body).await.expect(400);
        }
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let _ = PATIENTS.post(&stack, &deep).await.expect(400);
        let huge = format!("{JOHN}{}", " ".repeat(1024 * 1024));
        let _ = PATIENTS.post(&stack, &huge).await.expect(413);
        assert_eq!(PATIENTS.found(&stack, Role::Admin, "").await.len(), 0);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for (patch, field) in [
            (r#"{"name": null}"#, "name"),
            (r#"{"patientId": "other"}"#, "patientId"),
            (r#"{"contactInfo": {"phone": null, "email": null}}"#, "contactInfo"),
            (r#"{"contactInfo": {"email": "x"}}"#, "contactInfo.email"),
            (r#"{"medicalHistory": {"allergies": [1]}}"#, "medicalHistory.allergies[0]"),
            (r#"{"surname": "x"}"#, "surname"),
        ] {
            let refused = PATIENTS.put(&stack, "12345", patch).await.expect(422);
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        let _ = PATIENTS.put(&stack, "12345", "[]").await.expect(400);
        let _ = PATIENTS.put(&stack, "67890", "{}").await.expect(404);
        let read = PATIENTS.get(&stack, "12345").await.expect(200);
        assert_eq!(read.header("etag"), "\"v1\"");
    }

    async fn ids_and_read_only_members_are_accepted_when_equal(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let whole = PATIENTS.get(&stack, "12345").await.expect(200);
        let _ = PATIENTS.put(&stack, "12345", &whole.text).await.expect(200);
    }

    async fn who_may_not_is_told_so_before_anything_else(stack: Arc<TestStack>) {
        let without = stack.request(ServiceName::PatientService, Method::POST, "/api/patients").body("nonsense");
        let refused = testkit::stack::send(without).await.expect(401);
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        let forged = stack.request(ServiceName::PatientService, Method::GET, "/api/patients").bearer_auth("a.b.c");
        let _ = testkit::stack::send(forged).await.expect(401);
        let _ = PATIENTS.call(&stack, Role::Billing, Method::POST, "/api/patients", Some("nonsense")).await.expect(403);
        let _ = PATIENTS.call(&stack, Role::PrivacyOfficer, Method::POST, "/api/patients", Some(JOHN)).await.expect(403);
    }

    async fn wrong_media_types_methods_and_paths_are_problems(stack: Arc<TestStack>) {
        let text = stack
            .request(ServiceName::PatientService, Method::POST, "/api/patients")
            .bearer_auth(stack.token(Role::Admin))
            .header("content-type", "text/plain")
            .body(JOHN);
        let _ = testkit::stack::send(text).await.expect(415);
        for (method, path, status) in [
            (Method::PATCH, "/api/patients/12345", 405),
            (Method::GET, "/api/patients/..%2f", 404),
            (Method::GET, "/api/patients/search", 404),
            (Method::GET, "/nothing", 404),
        ] {
            let refused = PATIENTS.call(&stack, Role::Admin, method, path, None).await.expect(status);
            assert_eq!(refused.header("content-type"), "application/problem+json", "{path}");
        }
    }
}
