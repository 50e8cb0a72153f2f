//! A patient's life here: registered, read, changed, deleted.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE];
    async fn the_documents_patient_is_registered_read_changed_and_deleted(stack: Arc<TestStack>) {
        let registered = register(&stack, "12345").await.expect(201);
        assert_eq!(registered.text, r#"{"patientId":"12345","status":"Registered"}"#);
        assert_eq!(registered.header("location"), "/api/patients/12345");
        assert_eq!(registered.header("etag"), "\"v1\"");

        let patch = r#"{
            "contactInfo": {"phone": "+0987654321", "email": "john.doe@example.com"},
            "medicalHistory": {"allergies": ["Penicillin", "Peanuts"], "chronicConditions": ["Diabetes", "Hypertension"]}
        }"#;
        let updated = call(&stack, Role::Admin, Method::PUT, "/api/patients/12345", Some(patch)).await.expect(200);
        assert_eq!(updated.text, r#"{"patientId":"12345","status":"Updated"}"#);

        let read = call(&stack, Role::Admin, Method::GET, "/api/patients/12345", None).await.expect(200);
        assert_eq!(read.header("etag"), "\"v2\"");
        assert_eq!(read.json()["name"], "John Doe");
        assert_eq!(read.json()["contactInfo"]["phone"], "+0987654321");
        assert_eq!(read.json()["medicalHistory"]["allergies"][1], "Peanuts");

        let deleted = call(&stack, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        assert_eq!(deleted.text, r#"{"status":"Deleted","patientId":"12345"}"#);
        let _ = call(&stack, Role::Admin, Method::GET, "/api/patients/12345", None).await.expect(404);
        let _ = call(&stack, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(404);
    }

    async fn an_id_once_used_is_never_used_again(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        assert_eq!(register(&stack, "12345").await.expect(409).faults(), ["patientId"]);
        let _ = call(&stack, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        let _ = register(&stack, "12345").await.expect(409);
    }

    async fn of_many_who_want_one_id_exactly_one_gets_it(stack: Arc<TestStack>) {
        let all = (0..8).map(|_| { let stack = Arc::clone(&stack); tokio::spawn(async move { register(&stack, "12345").await.status }) });
        let mut statuses = Vec::new();
        for one in all.collect::<Vec<_>>() {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let mut all = Vec::new();
        for at in 0..6 {
            let stack = Arc::clone(&stack);
            all.push(tokio::spawn(async move {
                let patch = if at % 2 == 0 { r#"{"name": "Jane Doe"}"# } else { r#"{"dob": "1990-02-03"}"# };
                let _ = call(&stack, Role::Admin, Method::PUT, "/api/patients/12345", Some(patch)).await.expect(200);
            }));
        }
        for one in all {
            one.await.unwrap();
        }
        let read = call(&stack, Role::Admin, Method::GET, "/api/patients/12345", None).await.expect(200);
        assert_eq!(read.header("etag"), "\"v7\"");
        assert_eq!((&read.json()["name"], &read.json()["dob"]), (&"Jane Doe".into(), &"1990-02-03".into()));
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for method in [Method::PUT, Method::DELETE] {
            let request = stack
                .request(ServiceName::PatientService, method, "/api/patients/12345")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("if-match", "\"v7\"")
                .body(r#"{"name": "Jane Doe"}"#);
            let refused = testkit::stack::send(request).await.expect(412);
            assert_eq!(refused.json()["code"], "precondition-failed");
        }
        let read = call(&stack, Role::Admin, Method::GET, "/api/patients/12345", None).await.expect(200);
        assert_eq!(read.header("etag"), "\"v1\"");
    }

    async fn a_repeated_post_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        let post = |body: &str| {
            let request = stack
                .request(ServiceName::PatientService, Method::POST, "/api/patients")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("idempotency-key", "k-1")
                .body(body.to_owned());
            testkit::stack::send(request)
        };
        let first = post(JOHN).await.expect(201);
        let again = post(JOHN).await.expect(201);
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        let _ = post(&JOHN.replace("John", "Jane")).await.expect(422);
        let list = call(&stack, Role::Admin, Method::GET, "/api/patients", None).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
    }

    async fn a_patient_sees_themselves_alone(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = register(&stack, "67890").await.expect(201);
        let _ = call(&stack, Who::patient("12345"), Method::GET, "/api/patients/12345", None).await.expect(200);
        let _ = call(&stack, Who::patient("12345"), Method::GET, "/api/patients/67890", None).await.expect(404);
        let list = call(&stack, Who::patient("12345"), Method::GET, "/api/patients", None).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
        let _ = call(&stack, Role::Patient, Method::GET, "/api/patients/12345", None).await.expect(404);
        let _ = call(&stack, Who::patient("12345"), Method::DELETE, "/api/patients/12345", None).await.expect(403);
    }

    async fn no_file_holds_a_readable_name_contact_or_diagnosis(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let mut files = vec![stack.database(ServiceName::PatientService).dir().to_path_buf()];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
            for secret in ["john", "+1234567890", "example.com", "penicillin", "diabetes", "1980-01-01"] {
                assert!(!content.contains(secret), "{secret} stands in {}", path.display());
            }
        }
    }
}
