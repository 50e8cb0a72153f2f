//! What becomes of records when their patient is erased.

use std::time::Duration;

use db::Subject;

use super::*;

/// Deletes the patient in their service, and waits until this one has been told.
async fn erase(stack: &Arc<TestStack>, id: &str) {
    let path = format!("/api/patients/{id}");
    let deleted = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, &path, None).await;
    let _ = deleted.expect(200);
    let vault = stack.database(ServiceName::MedicalRecordsService).db().vault();
    for _ in 0..500 {
        if vault.is_destroyed(&Subject::Patient(id)).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the patient's key still stands");
}

fn event(id: &str, patient: &str) -> String {
    format!(
        r#"{{"id": "{id}", "occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {{"patientId": "{patient}"}}}}"#
    )
}

async fn deliver(stack: &Arc<TestStack>, body: &str) -> Reply {
    call(stack, Role::Service, Method::POST, "/internal/events", Some(body)).await
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn an_erased_patients_records_are_gone_and_nobody_elses(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        let _ = post(&stack, &record("rec001", "12345", "2024-08-01")).await.expect(201);
        let _ = post(&stack, &record("rec002", "12345", "2024-08-02")).await.expect(201);
        let _ = post(&stack, &record("other", "67890", "2024-08-01")).await.expect(201);
        erase(&stack, "12345").await;
        for id in ["rec001", "rec002"] {
            let _ = get(&stack, id).await.expect(404);
            let _ = put(&stack, id, r#"{"diagnosis": "Cold"}"#).await.expect(404);
            assert_eq!(post(&stack, &record(id, "67890", "2024-08-01")).await.expect(409).faults(), ["recordId"]);
        }
        let list = call(&stack, Role::Admin, Method::GET, "/api/records", None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let _ = get(&stack, "other").await.expect(200);
    }

    async fn nothing_new_is_recorded_of_whom_is_erased(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        // The event comes before the patient service itself knows: as for a write that was under way.
        let _ = deliver(&stack, &event("evt_1", "12345")).await.expect(200);
        assert_eq!(post(&stack, RECORD).await.expect(422).faults(), ["patientId"]);
        let _ = get(&stack, "rec001").await.expect(404);
    }

    async fn an_event_that_comes_again_has_no_effect(stack: Arc<TestStack>) {
        for (id, first_time) in [("evt_1", true), ("evt_1", false), ("evt_2", true)] {
            let accepted = deliver(&stack, &event(id, "12345")).await.expect(200);
            assert_eq!(accepted.text, format!(r#"{{"firstTime":{first_time}}}"#));
        }
    }

    async fn no_record_outlives_its_patient_however_late_it_was_written(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = post(&stack, RECORD).await.expect(201);
        let writers: Vec<_> = (0..4).map(|at| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move {
                let id = format!("r{at}");
                let created = post(&stack, &record(&id, "12345", "2024-08-01")).await;
                assert!(matches!(created.status, 201 | 422), "{}", created.text);
                let changed = put(&stack, "rec001", &format!(r#"{{"diagnosis": "Flu {at}"}}"#)).await;
                assert!(matches!(changed.status, 200 | 404), "{}", changed.text);
                id
            })
        }).collect();
        erase(&stack, "12345").await;
        for writer in writers {
            let _ = get(&stack, &writer.await.unwrap()).await.expect(404);
        }
        let list = call(&stack, Role::Admin, Method::GET, "/api/records", None).await.expect(200);
        assert_eq!(list.text, r#"{"items":[],"nextCursor":null}"#);
    }
}
