//! A medical record's life: created, read, changed, deleted.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn the_documents_record_is_created_read_changed_and_deleted(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let created = RECORDS.post(&stack, RECORD).await.expect(201);
        assert_eq!(created.text, r#"{"recordId":"rec001","status":"Created"}"#);
        assert_eq!((created.header("location"), created.header("etag")), ("/api/records/rec001", "\"v1\""));
        let read = RECORDS.get(&stack, "rec001").await.expect(200);
        assert_eq!(
            read.text,
            concat!(
                r#"{"recordId":"rec001","patientId":"12345","date":"2024-08-01","diagnosis":"Flu","#,
                r#""treatment":"Rest and hydration","prescriptions":["Tylenol"]}"#,
            )
        );

        let patch = r#"{
            "diagnosis": "Severe Flu",
            "treatment": "Rest and hydration with additional medications",
            "prescriptions": ["Tylenol", "Advil"]
        }"#;
        let updated = RECORDS.put(&stack, "rec001", patch).await.expect(200);
        assert_eq!(updated.text, r#"{"recordId":"rec001","status":"Updated"}"#);
        let read = RECORDS.get(&stack, "rec001").await.expect(200);
        assert_eq!(read.header("etag"), "\"v2\"");
        assert_eq!(
            read.text,
            concat!(
                r#"{"recordId":"rec001","patientId":"12345","date":"2024-08-01","diagnosis":"Severe Flu","#,
                r#""treatment":"Rest and hydration with additional medications","prescriptions":["Tylenol","Advil"]}"#,
            )
        );

        let deleted = RECORDS.delete(&stack, "rec001").await.expect(200);
        assert_eq!(deleted.text, r#"{"status":"Deleted","recordId":"rec001"}"#);
        let _ = RECORDS.get(&stack, "rec001").await.expect(404);
        let _ = RECORDS.delete(&stack, "rec001").await.expect(404);
        let _ = RECORDS.put(&stack, "rec001", "{}").await.expect(404);
    }

    async fn an_id_once_used_is_never_used_again(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        assert_eq!(RECORDS.post(&stack, RECORD).await.expect(409).faults(), ["recordId"]);
        let _ = RECORDS.delete(&stack, "rec001").await.expect(200);
        assert_eq!(RECORDS.post(&stack, RECORD).await.expect(409).faults(), ["recordId"]);
    }

    async fn what_is_left_out_the_server_adds(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let created = RECORDS.post(&stack, r#"{"patientId":"12345","date":"2024-08-01","diagnosis":"Flu"}"#).await.expect(201);
        let id = created.json()["recordId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("rec_"));
        let read = RECORDS.get(&stack, &id).await.expect(200);
        assert!(read.text.ends_with(r#""diagnosis":"Flu","prescriptions":[]}"#), "{}", read.text);
        let _ = RECORDS.put(&stack, &id, r#"{"treatment": "Rest", "date": "2024-08-02"}"#).await.expect(200);
        let read = RECORDS.get(&stack, &id).await.expect(200).json();
        assert_eq!((&read["treatment"], &read["date"]), (&"Rest".into(), &"2024-08-02".into()));
        let _ = RECORDS.put(&stack, &id, r#"{"treatment": null}"#).await.expect(200);
        assert!(!RECORDS.get(&stack, &id).await.text.contains("treatment"));
    }

    async fn today_is_the_clinics_own_day(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        // The stack's zone is Europe/Berlin: half an hour before midnight UTC it is tomorrow there.
        let now = stack.clock.now();
        let midnight = (now.date_naive() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN).and_utc();
        stack.clock.advance(midnight - now - chrono::TimeDelta::minutes(30));
        let day = |days| (midnight.date_naive() + chrono::Days::new(days)).to_string();
        let _ = RECORDS.post(&stack, &record("a", "12345", &day(0))).await.expect(201);
        assert_eq!(RECORDS.post(&stack, &record("b", "12345", &day(1))).await.expect(422).faults(), ["date"]);
    }

    async fn of_many_who_want_one_id_exactly_one_gets_it(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        RECORDS.gives_an_id_once(&stack, RECORD).await;
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        let patches = [
            r#"{"diagnosis": "Severe Flu"}"#, r#"{"treatment": "Rest"}"#,
            r#"{"prescriptions": ["Advil"]}"#, r#"{"date": "2024-08-02"}"#,
        ];
        let all = patches.map(|patch| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { RECORDS.put(&stack, "rec001", patch).await.expect(200) })
        });
        for one in all {
            let _ = one.await.unwrap();
        }
        let read = RECORDS.get(&stack, "rec001").await.expect(200);
        assert_eq!(read.header("etag"), "\"v5\"");
        assert!(read.text.ends_with(
            r#""date":"2024-08-02","diagnosis":"Severe Flu","treatment":"Rest","prescriptions":["Advil"]}"#
        ));
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        RECORDS.heeds_if_match(&stack, "rec001", r#"{"diagnosis": "Cold"}"#).await;
    }

    async fn a_repeated_post_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let without_id = RECORD.replace("\"recordId\": \"rec001\",", "");
        let other = without_id.replace("Flu", "Cold");
        RECORDS.remembers_an_idempotency_key(&stack, &without_id, &other).await;
    }

    async fn a_patient_sees_their_own_records_alone(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        let _ = RECORDS.post(&stack, &record("mine", "12345", "2024-08-01")).await.expect(201);
        let _ = RECORDS.post(&stack, &record("other", "67890", "2024-08-01")).await.expect(201);
        let as_patient = |path: &'static str| RECORDS.call(&stack, Who::patient("12345"), Method::GET, path, None);
        let _ = as_patient("/api/records/mine").await.expect(200);
        let _ = as_patient("/api/records/other").await.expect(404);
        for (query, ids) in [("", vec!["mine"]), ("?patientId=12345", vec!["mine"]), ("?patientId=67890", vec![])] {
            let list = RECORDS.call(&stack, Who::patient("12345"), Method::GET, &format!("/api/records{query}"), None).await.expect(200);
            let items = list.json()["items"].as_array().cloned().unwrap();
            assert_eq!(items.iter().map(|item| item["recordId"].as_str().unwrap()).collect::<Vec<_>>(), ids, "{query}");
        }
        let _ = RECORDS.call(&stack, Role::Patient, Method::GET, "/api/records/mine", None).await.expect(404);
        let none = RECORDS.call(&stack, Role::Patient, Method::GET, "/api/records", None).await.expect(200);
        assert_eq!(none.text, r#"{"items":[],"nextCursor":null}"#);
        let _ = RECORDS.call(&stack, Who::patient("12345"), Method::DELETE, "/api/records/mine", None).await.expect(403);
    }

    async fn no_file_holds_a_readable_word_of_a_record(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, &RECORD.replace("Flu", "Influenza")).await.expect(201);
        stack.database(ServiceName::MedicalRecordsService).no_file_holds(&["influenza", "hydration", "tylenol"]);
    }
}
