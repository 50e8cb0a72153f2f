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
        let updated = PATIENTS.put(&stack, "12345", patch).await.expect(200);
        assert_eq!(updated.text, r#"{"patientId":"12345","status":"Updated"}"#);

        let read = PATIENTS.get(&stack, "12345").await.expect(200);
        assert_eq!(read.header("etag"), "\"v2\"");
        assert_eq!(read.json()["name"], "John Doe");
        assert_eq!(read.json()["contactInfo"]["phone"], "+0987654321");
        assert_eq!(read.json()["medicalHistory"]["allergies"][1], "Peanuts");

        let deleted = PATIENTS.delete(&stack, "12345").await.expect(200);
        assert_eq!(deleted.text, r#"{"status":"Deleted","patientId":"12345"}"#);
        let _ = PATIENTS.get(&stack, "12345").await.expect(404);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(404);
    }

    async fn an_id_once_used_is_never_used_again(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        assert_eq!(register(&stack, "12345").await.expect(409).faults(), ["patientId"]);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let _ = register(&stack, "12345").await.expect(409);
    }

    async fn of_many_who_want_one_id_exactly_one_gets_it(stack: Arc<TestStack>) {
        PATIENTS.gives_an_id_once(&stack, &john("12345")).await;
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let mut all = Vec::new();
        for at in 0..6 {
            let stack = Arc::clone(&stack);
            all.push(tokio::spawn(async move {
                let patch = if at % 2 == 0 { r#"{"name": "Jane Doe"}"# } else { r#"{"dob": "1990-02-03"}"# };
                let _ = PATIENTS.put(&stack, "12345", patch).await.expect(200);
            }));
        }
        for one in all {
            one.await.unwrap();
        }
        let read = PATIENTS.get(&stack, "12345").await.expect(200);
        assert_eq!(read.header("etag"), "\"v7\"");
        assert_eq!((&read.json()["name"], &read.json()["dob"]), (&"Jane Doe".into(), &"1990-02-03".into()));
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        let _ = PATIENTS.post(&stack, &john("12345")).await.expect(201);
        PATIENTS.heeds_if_match(&stack, "12345", r#"{"name": "Jane Doe"}"#).await;
    }

    async fn a_repeated_post_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        let other = JOHN.replace("John", "Jane");
        PATIENTS.remembers_an_idempotency_key(&stack, JOHN, &other).await;
    }

    async fn a_patient_sees_themselves_alone(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = register(&stack, "67890").await.expect(201);
        let _ = PATIENTS.call(&stack, Who::patient("12345"), Method::GET, "/api/patients/12345", None).await.expect(200);
        let _ = PATIENTS.call(&stack, Who::patient("12345"), Method::GET, "/api/patients/67890", None).await.expect(404);
        let list = PATIENTS.call(&stack, Who::patient("12345"), Method::GET, "/api/patients", None).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
        let _ = PATIENTS.call(&stack, Role::Patient, Method::GET, "/api/patients/12345", None).await.expect(404);
        let _ = PATIENTS.call(&stack, Who::patient("12345"), Method::DELETE, "/api/patients/12345", None).await.expect(403);
    }

    async fn no_file_holds_a_readable_name_contact_or_diagnosis(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        stack.database(ServiceName::PatientService).no_file_holds(&["john", "+1234567890", "example.com", "penicillin", "diabetes", "1980-01-01"]);
    }
}
