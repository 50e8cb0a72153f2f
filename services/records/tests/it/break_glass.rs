//! Records seen in an emergency, by who does not treat the patient.

use db::{AuditFilter, FoundEntry, audit_find};

use super::*;

pub(crate) const REASON: &str = "Unconscious in the emergency room.";
pub(crate) const PATH: &str = "/api/records/break-glass";

pub(crate) async fn break_glass(stack: &TestStack, who: &Who, patient: &str, reason: &str) -> testkit::Reply {
    let body = format!(r#"{{"patientId": "{patient}", "reason": "{reason}"}}"#);
    call(stack, who, Method::POST, PATH, Some(&body)).await
}

/// Two patients with a record each.
pub(crate) async fn patients(stack: &TestStack) {
    for (patient, record_id) in [("12345", "rec001"), ("67890", "other")] {
        register(stack, patient).await;
        let _ = RECORDS.post(stack, &record(record_id, patient, "2024-08-01")).await.expect(201);
    }
}

async fn entries_of(stack: &TestStack, operation: &str) -> Vec<FoundEntry> {
    let filter = AuditFilter { operation: Some(operation.to_owned()), limit: 100, ..AuditFilter::default() };
    audit_find(stack.database(ServiceName::MedicalRecordsService).db(), &filter).await.unwrap()
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn in_an_emergency_records_are_open_for_an_hour_to_who_says_why(stack: Arc<TestStack>) {
        patients(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(404);
        for reason in ["", "urgent", "............"] {
            assert_eq!(break_glass(&stack, &doctor, "12345", reason).await.expect(422).faults(), ["reason"]);
        }
        let none = call(&stack, &doctor, Method::POST, PATH, Some(r#"{"patientId": "12345"}"#)).await.expect(422);
        assert_eq!(none.faults(), ["reason"]);
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(404);

        let granted = break_glass(&stack, &doctor, "12345", REASON).await.expect(201).json();
        assert_eq!((&granted["until"], &granted["status"]), (&"2026-01-15T10:00:00Z".into(), &"Granted".into()));
        stack.clock.advance(chrono::TimeDelta::minutes(59));
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(200);
        let _ = call(&stack, &doctor, Method::PUT, "/api/records/rec001", Some(r#"{"treatment": "Oxygen"}"#)).await.expect(200);
        for query in ["", "patientId=12345"] {
            assert_eq!(RECORDS.found(&stack, doctor.clone(), query).await, ["rec001"], "{query}");
        }
        // That patient's, and for that user.
        let _ = read(&stack, &doctor, "/api/records/other").await.expect(404);
        let _ = read(&stack, &Who::clinician("prov002"), "/api/records/rec001").await.expect(404);

        stack.clock.advance(chrono::TimeDelta::minutes(1));
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(404);
        for query in ["", "patientId=12345"] {
            assert!(RECORDS.found(&stack, doctor.clone(), query).await.is_empty(), "{query}");
        }
    }

    async fn asking_again_gives_no_more_time_until_it_is_over(stack: Arc<TestStack>) {
        patients(&stack).await;
        let doctor = Who::clinician("prov001");
        let first = break_glass(&stack, &doctor, "12345", REASON).await.expect(201).text;
        stack.clock.advance(chrono::TimeDelta::minutes(30));
        assert_eq!(break_glass(&stack, &doctor, "12345", REASON).await.expect(201).text, first);
        stack.clock.advance(chrono::TimeDelta::minutes(31));
        assert_ne!(break_glass(&stack, &doctor, "12345", REASON).await.expect(201).text, first);
        let kept = read(&stack, &Role::PrivacyOfficer.into(), PATH).await.expect(200).json();
        assert_eq!(kept["items"].as_array().unwrap().len(), 2);
    }

    async fn of_many_at_once_there_is_one_grant(stack: Arc<TestStack>) {
        patients(&stack).await;
        let all: Vec<_> = (0..20).map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { break_glass(&stack, &Who::clinician("prov001"), "12345", REASON).await.expect(201).text })
        }).collect();
        let mut answers = std::collections::BTreeSet::new();
        for one in all {
            answers.insert(one.await.unwrap());
        }
        assert_eq!(answers.len(), 1);
        let kept = read(&stack, &Role::PrivacyOfficer.into(), PATH).await.expect(200).json();
        assert_eq!(kept["items"].as_array().unwrap().len(), 1);
    }

    async fn the_audit_says_why_and_what_was_seen_by_that(stack: Arc<TestStack>) {
        patients(&stack).await;
        let doctor = Who::clinician("prov001");
        let granted = break_glass(&stack, &doctor, "12345", REASON).await.expect(201).json();
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(200);
        let _ = read(&stack, &doctor, "/api/records?patientId=12345").await.expect(200);
        let because = |entries: Vec<FoundEntry>| entries.into_iter().map(|found| (found.entry.who, found.entry.patients, found.entry.reason.unwrap_or_default())).next().unwrap();
        let about = vec!["12345".to_owned()];
        assert_eq!(because(entries_of(&stack, "break_glass").await), ("usr_prov001".to_owned(), about.clone(), REASON.to_owned()));
        let by = format!("break-glass {}", granted["grantId"].as_str().unwrap());
        for operation in ["get_record_by_id", "list_records"] {
            assert_eq!(because(entries_of(&stack, operation).await), ("usr_prov001".to_owned(), about.clone(), by.clone()), "{operation}");
        }
        // Who treats them needs no emergency.
        tell_care(&stack, "evt_1", "12345", "prov001").await;
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(200);
        assert_eq!(because(entries_of(&stack, "get_record_by_id").await).2, "");
    }

    async fn a_wrong_id_is_told_and_opens_nothing(stack: Arc<TestStack>) {
        let doctor = Who::clinician("prov001");
        for patient in ["nobody", "../x"] {
            assert_eq!(break_glass(&stack, &doctor, patient, REASON).await.expect(422).faults(), ["patientId"]);
        }
        let kept = read(&stack, &Role::PrivacyOfficer.into(), PATH).await.expect(200);
        assert_eq!(kept.text, r#"{"items":[],"nextCursor":null}"#);
    }

    async fn who_may_not_is_refused(stack: Arc<TestStack>) {
        patients(&stack).await;
        for who in [Role::Receptionist.into(), Role::Billing.into(), Role::PrivacyOfficer.into(), Who::patient("12345"), Role::Service.into()] {
            let _ = break_glass(&stack, &who, "12345", REASON).await.expect(403);
        }
        for who in [Role::Clinician.into(), Role::Receptionist.into(), Role::Billing.into(), Who::patient("12345"), Role::Service.into()] {
            let _ = read(&stack, &who, PATH).await.expect(403);
            let body = Some(r#"{"finding": "Justified"}"#);
            let _ = call(&stack, &who, Method::POST, "/api/records/break-glass/grant_x/review", body).await.expect(403);
        }
    }

    async fn an_erased_patients_records_stay_shut_and_what_was_opened_is_still_reviewed(stack: Arc<TestStack>) {
        patients(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = break_glass(&stack, &doctor, "12345", REASON).await.expect(201);
        erase(&stack, "12345", ServiceName::MedicalRecordsService).await;
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(404);
        assert_eq!(break_glass(&stack, &doctor, "12345", REASON).await.expect(422).faults(), ["patientId"]);
        let kept = read(&stack, &Role::PrivacyOfficer.into(), "/api/records/break-glass?status=Open").await.expect(200).json();
        assert_eq!((&kept["items"][0]["patientId"], &kept["items"][0]["reason"]), (&"12345".into(), &REASON.into()));
    }

    async fn no_file_holds_a_readable_word_of_a_reason(stack: Arc<TestStack>) {
        patients(&stack).await;
        let granted = break_glass(&stack, &Who::clinician("prov001"), "12345", REASON).await.expect(201).json();
        let path = format!("{PATH}/{}/review", granted["grantId"].as_str().unwrap());
        let body = Some(r#"{"finding": "Justified", "note": "The ambulance confirmed it."}"#);
        let _ = call(&stack, &Role::PrivacyOfficer.into(), Method::POST, &path, body).await.expect(200);
        stack.database(ServiceName::MedicalRecordsService).no_file_holds(&["unconscious", "emergency room", "ambulance"]);
    }
}
