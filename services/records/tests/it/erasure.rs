//! What becomes of records when their patient is erased.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn an_erased_patients_records_are_gone_and_nobody_elses(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        let _ = RECORDS.post(&stack, &record("rec001", "12345", "2024-08-01")).await.expect(201);
        let _ = RECORDS.post(&stack, &record("rec002", "12345", "2024-08-02")).await.expect(201);
        let _ = RECORDS.post(&stack, &record("other", "67890", "2024-08-01")).await.expect(201);
        erase(&stack, "12345", ServiceName::MedicalRecordsService).await;
        for id in ["rec001", "rec002"] {
            let _ = RECORDS.get(&stack, id).await.expect(404);
            let _ = RECORDS.put(&stack, id, r#"{"diagnosis": "Cold"}"#).await.expect(404);
            assert_eq!(RECORDS.post(&stack, &record(id, "67890", "2024-08-01")).await.expect(409).faults(), ["recordId"]);
        }
        let list = RECORDS.call(&stack, Role::Admin, Method::GET, "/api/records", None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let _ = RECORDS.get(&stack, "other").await.expect(200);
    }

    async fn nothing_new_is_recorded_of_whom_is_erased(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        // The event comes before the patient service itself knows: as for a write that was under way.
        assert!(tell_erased(&stack, ServiceName::MedicalRecordsService, "evt_1", "12345").await);
        assert_eq!(RECORDS.post(&stack, RECORD).await.expect(422).faults(), ["patientId"]);
        let _ = RECORDS.get(&stack, "rec001").await.expect(404);
    }

    async fn an_event_that_comes_again_has_no_effect(stack: Arc<TestStack>) {
        for (id, first_time) in [("evt_1", true), ("evt_1", false), ("evt_2", true)] {
            assert_eq!(tell_erased(&stack, ServiceName::MedicalRecordsService, id, "12345").await, first_time);
        }
    }

    async fn no_record_outlives_its_patient_however_late_it_was_written(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        let writers: Vec<_> = (0..4).map(|at| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move {
                let id = format!("r{at}");
                let created = RECORDS.post(&stack, &record(&id, "12345", "2024-08-01")).await;
                assert!(matches!(created.status, 201 | 422), "{}", created.text);
                let changed = RECORDS.put(&stack, "rec001", &format!(r#"{{"diagnosis": "Flu {at}"}}"#)).await;
                assert!(matches!(changed.status, 200 | 404), "{}", changed.text);
                id
            })
        }).collect();
        erase(&stack, "12345", ServiceName::MedicalRecordsService).await;
        for writer in writers {
            let _ = RECORDS.get(&stack, &writer.await.unwrap()).await.expect(404);
        }
        let list = RECORDS.call(&stack, Role::Admin, Method::GET, "/api/records", None).await.expect(200);
        assert_eq!(list.text, r#"{"items":[],"nextCursor":null}"#);
    }
}
