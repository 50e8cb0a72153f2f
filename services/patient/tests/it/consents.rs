//! What a patient does not share, and with whom: recorded, shown, withdrawn, and kept to here.

use db::{AuditFilter, audit_find};
use serde_json::json;

use super::*;

const PATH: &str = "/api/patients/12345/consents";

async fn record(stack: &Arc<TestStack>, who: impl Into<Who>, body: &str) -> Reply {
    PATIENTS.call(stack, who, Method::POST, PATH, Some(body)).await
}

/// Records, as the patient, that they do not share their medical history.
async fn deny(stack: &Arc<TestStack>, who: &str) -> String {
    testkit::patients::deny(stack, "12345", who, r#"["clinical"]"#).await
}

async fn list(stack: &Arc<TestStack>, who: impl Into<Who>) -> Vec<serde_json::Value> {
    let list = PATIENTS.call(stack, who, Method::GET, PATH, None).await.expect(200).json();
    list["items"].as_array().cloned().unwrap()
}

async fn withdraw(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str) -> Reply {
    PATIENTS.call(stack, who, Method::DELETE, &format!("{PATH}/{id}"), None).await
}

async fn read(stack: &Arc<TestStack>, who: impl Into<Who>, path: &str) -> Reply {
    // A moment after whatever was asked before: of two entries of one moment in two chains nobody can say which was the later.
    stack.clock.advance(chrono::TimeDelta::milliseconds(1));
    PATIENTS.call(stack, who, Method::GET, path, None).await.expect(200)
}

/// Why the last call of an operation was let through, as the audit has it.
async fn last_reason(stack: &Arc<TestStack>, operation: &str) -> String {
    let filter = AuditFilter { operation: Some(operation.to_owned()), limit: 100, ..AuditFilter::default() };
    let found = audit_find(stack.database(ServiceName::PatientService).db(), &filter).await.unwrap();
    found.into_iter().next().unwrap().entry.reason.unwrap_or_default()
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn patients_record_what_they_do_not_share_and_withdraw_it(stack: Arc<TestStack>) {
        treated(&stack).await;
        let own = Who::patient("12345");
        let body = r#"{"who": {"provider": "prov001"}, "what": ["records", "clinical"], "until": "2026-02-01"}"#;
        let recorded = record(&stack, own.clone(), body).await.expect(201).json();
        let id = recorded["consentId"].as_str().unwrap();
        assert_eq!(recorded, json!({"consentId": id, "patientId": "12345", "status": "Recorded"}));
        let expected = json!([{
            "consentId": id, "provision": "deny", "who": {"provider": "prov001"}, "what": ["records", "clinical"],
            "until": "2026-02-01", "recordedAt": "2026-01-15T09:00:00Z",
        }]);
        assert_eq!(json!(list(&stack, own.clone()).await), expected);
        let withdrawn = withdraw(&stack, own.clone(), id).await.expect(200).json();
        assert_eq!(withdrawn, json!({"consentId": id, "patientId": "12345", "status": "Withdrawn"}));
        assert!(list(&stack, own.clone()).await.is_empty());
        let _ = withdraw(&stack, own, id).await.expect(404);
    }

    async fn they_are_the_patients_own_and_recorded_for_them_by_few(stack: Arc<TestStack>) {
        treated(&stack).await;
        let body = r#"{"who": {"user": "usr_1"}, "what": ["bills"]}"#;
        let id = deny(&stack, r#"{"user": "usr_1"}"#).await;
        let other = Who::patient("67890");
        let _ = record(&stack, other.clone(), body).await.expect(404);
        let _ = withdraw(&stack, other.clone(), &id).await.expect(404);
        let _ = PATIENTS.call(&stack, other, Method::GET, PATH, None).await.expect(404);
        for who in [Who::clinician("prov001"), Role::Billing.into(), Role::Service.into()] {
            let _ = record(&stack, who.clone(), body).await.expect(403);
            let _ = withdraw(&stack, who.clone(), &id).await.expect(403);
            let _ = PATIENTS.call(&stack, who, Method::GET, PATH, None).await.expect(403);
        }
        for role in [Role::Receptionist, Role::Admin, Role::PrivacyOfficer] {
            let recorded = record(&stack, role, body).await.expect(201).json();
            assert_eq!(list(&stack, role).await.len(), 2);
            let _ = withdraw(&stack, role, recorded["consentId"].as_str().unwrap()).await.expect(200);
        }
        // One of another patient's is none of this one's.
        let _ = register(&stack, "67890").await.expect(201);
        let path = format!("/api/patients/67890/consents/{id}");
        let _ = PATIENTS.call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(404);
    }

    async fn what_restricts_somebody_is_not_there_for_them(stack: Arc<TestStack>) {
        treated(&stack).await;
        let hidden = deny(&stack, r#"{"role": "receptionist"}"#).await;
        let shown = deny(&stack, r#"{"role": "clinician"}"#).await;
        let seen = list(&stack, Role::Receptionist).await;
        assert_eq!(seen.iter().map(|item| item["consentId"].as_str().unwrap()).collect::<Vec<_>>(), [&shown]);
        let _ = withdraw(&stack, Role::Receptionist, &hidden).await.expect(404);
        let both = Who { roles: vec![Role::Receptionist, Role::Clinician], ..Role::Receptionist.into() };
        let _ = withdraw(&stack, both, &shown).await.expect(404);
        let _ = withdraw(&stack, Role::Receptionist, &shown).await.expect(200);
        let _ = withdraw(&stack, Role::PrivacyOfficer, &hidden).await.expect(200);
    }

    async fn a_denied_medical_history_is_left_out_at_once_wherever_it_stood(stack: Arc<TestStack>) {
        treated(&stack).await;
        let _ = join(&stack, Role::Admin, "12345", "prov002").await.expect(200);
        let (doctor, colleague) = (Who::clinician("prov001"), Who::clinician("prov002"));
        let id = deny(&stack, r#"{"provider": "prov001"}"#).await;
        for path in ["/api/patients/12345", "/api/patients", "/api/patients?name=john"] {
            let seen = read(&stack, doctor.clone(), path).await;
            assert!(seen.text.contains("John Doe") && !seen.text.contains("medicalHistory"), "{path}: {}", seen.text);
            for who in [colleague.clone(), Role::Admin.into(), Role::PrivacyOfficer.into(), Who::patient("12345")] {
                assert!(read(&stack, who.clone(), path).await.text.contains("Penicillin"), "{path}: {who:?}");
            }
        }
        assert_eq!(read(&stack, doctor.clone(), "/api/patients/12345").await.header("etag"), "\"v1-necessary\"");
        let change = |patch: &'static str| PATIENTS.call(&stack, doctor.clone(), Method::PUT, "/api/patients/12345", Some(patch));
        for patch in [r#"{"medicalHistory": {"allergies": []}}"#, r#"{"medicalHistory": null}"#] {
            assert_eq!(change(patch).await.expect(403).faults(), ["medicalHistory"]);
        }
        let _ = change(r#"{"name": "Jane Roe"}"#).await.expect(200);
        let _ = withdraw(&stack, Who::patient("12345"), &id).await.expect(200);
        let seen = read(&stack, doctor.clone(), "/api/patients/12345").await;
        assert!(seen.text.contains("Jane Roe") && seen.text.contains("Penicillin"), "{}", seen.text);
    }

    async fn whoever_sees_it_all_the_same_is_written_down(stack: Arc<TestStack>) {
        treated(&stack).await;
        for path in ["/api/patients/12345", "/api/patients"] {
            let _ = read(&stack, Role::Admin, path).await;
        }
        assert_eq!(last_reason(&stack, "patient_by_id").await, "");
        let id = deny(&stack, r#"{"role": "clinician"}"#).await;
        for role in [Role::Admin, Role::PrivacyOfficer] {
            for (operation, path) in [("patient_by_id", "/api/patients/12345"), ("list_patients", "/api/patients?name=john")] {
                let _ = read(&stack, role, path).await;
                assert_eq!(last_reason(&stack, operation).await, format!("past consent {id}"), "{role}");
            }
        }
        // Who is not shown it anyway passes over nothing.
        let _ = read(&stack, Role::Billing, "/api/patients").await;
        assert_eq!(last_reason(&stack, "list_patients").await, "");
        // In an emergency it is shown, and that is written down too.
        let glass = json!({
            "id": "evt_1", "occurredAt": "2026-01-15T09:00:00Z", "type": "glass.broken.v1",
            "data": {"grantId": "grant_1", "patientId": "12345", "userId": "usr_prov001", "until": "2026-01-15T10:00:00Z"},
        });
        let _ = PATIENTS.call(&stack, Role::Service, Method::POST, "/internal/events", Some(&glass.to_string())).await.expect(200);
        for (operation, path) in [("patient_by_id", "/api/patients/12345"), ("list_patients", "/api/patients")] {
            assert!(read(&stack, Who::clinician("prov001"), path).await.text.contains("Penicillin"));
            assert_eq!(last_reason(&stack, operation).await, format!("break-glass grant_1, past consent {id}"));
        }
    }

    async fn a_consent_ends_with_its_last_day(stack: Arc<TestStack>) {
        treated(&stack).await;
        let doctor = Who::clinician("prov001");
        let body = r#"{"who": {"role": "clinician"}, "what": ["clinical"], "until": "2026-01-20"}"#;
        let _ = record(&stack, Who::patient("12345"), body).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::days(5));
        assert!(!read(&stack, doctor.clone(), "/api/patients/12345").await.text.contains("Penicillin"));
        stack.clock.advance(chrono::TimeDelta::days(1));
        assert!(read(&stack, doctor, "/api/patients/12345").await.text.contains("Penicillin"));
        assert!(list(&stack, Role::Admin).await.is_empty());
    }

    async fn so_many_hold_at_once_and_what_is_wrong_with_one_is_told_by_name(stack: Arc<TestStack>) {
        treated(&stack).await;
        let body = r#"{"who": {"role": "billing"}, "what": ["bills"], "until": "2026-01-15"}"#;
        for _ in 0..50 {
            let _ = record(&stack, Role::Admin, body).await.expect(201);
        }
        assert_eq!(record(&stack, Role::Admin, body).await.expect(409).json()["code"], "invalid-transition");
        stack.clock.advance(chrono::TimeDelta::days(1));
        let _ = record(&stack, Role::Admin, &body.replace("2026-01-15", "2026-01-17")).await.expect(201);
        assert_eq!(list(&stack, Role::Admin).await.len(), 1);
        for (body, fault) in [
            (r#"{"who": {}, "what": ["bills"]}"#, "who"),
            (r#"{"who": {"role": "admin"}, "what": ["bills"]}"#, "who.role"),
            (r#"{"who": {"role": "billing"}, "what": []}"#, "what"),
            (r#"{"who": {"role": "billing"}, "what": ["everything"]}"#, "what[0]"),
            (r#"{"who": {"role": "billing"}, "what": ["bills"], "until": "2026-01-15"}"#, "until"),
        ] {
            assert_eq!(record(&stack, Role::Admin, body).await.expect(422).faults(), [fault], "{body}");
        }
    }

    async fn of_an_erased_patient_no_consent_is_left_and_no_file_held_a_word_of_one(stack: Arc<TestStack>) {
        treated(&stack).await;
        let _ = deny(&stack, r#"{"user": "zebrauser"}"#).await;
        let _ = deny(&stack, r#"{"provider": "zebraprovider"}"#).await;
        let _ = deny(&stack, r#"{"role": "zebrarole"}"#).await;
        stack.database(ServiceName::PatientService).no_file_holds(&["zebrauser", "zebraprovider", "zebrarole"]);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let _ = PATIENTS.call(&stack, Role::Admin, Method::GET, PATH, None).await.expect(404);
        let mut tx = stack.database(ServiceName::PatientService).db().read().await.unwrap();
        for table in ["select count(*) from consent", "select count(*) from denial", "select count(*) from denial_edition"] {
            let left: i64 = db::on!(tx, |conn| sqlx::query_scalar(table).fetch_one(conn).await).unwrap();
            assert_eq!(left, 0, "{table}");
        }
    }
}
