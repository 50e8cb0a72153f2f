//! What a patient does not share is not there for whom they do not share it with.

use std::time::{Duration, Instant};

use testkit::patients::{deny, share_again};

use super::break_glass::{REASON, break_glass, entries_of};
use super::care::said;
use super::*;

const RECORDS_OF: &str = r#"["records"]"#;
/// As long as a change takes to be kept to elsewhere, at most.
const ROUND: Duration = Duration::from_secs(2);

/// Two patients with a record each, whom two providers treat.
async fn clinic(stack: &TestStack) {
    for (patient, id) in [("12345", "mine"), ("67890", "other")] {
        register(stack, patient).await;
        let _ = RECORDS.post(stack, &record(id, patient, "2024-08-01")).await.expect(201);
        for provider in ["prov001", "prov002"] {
            tell_care(stack, &format!("evt_{patient}_{provider}"), patient, provider).await;
        }
    }
}

async fn until_status(stack: &TestStack, who: &Who, status: u16) {
    until(|| async { read(stack, who, "/api/records/mine").await.status == status }).await;
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn what_a_patient_does_not_share_with_somebody_is_not_there_for_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let (doctor, colleague) = (Who::clinician("prov001"), Who::clinician("prov002"));
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(200);
        let consent = deny(&stack, "12345", r#"{"provider": "prov001"}"#, RECORDS_OF).await;
        until_status(&stack, &doctor, 404).await;
        for method in [Method::GET, Method::PUT] {
            let body = (method == Method::PUT).then_some(r#"{"diagnosis": "Cold"}"#);
            let denied = call(&stack, &doctor, method.clone(), "/api/records/mine", body).await.expect(404);
            let unknown = call(&stack, &doctor, method, "/api/records/nothing", body).await.expect(404);
            assert_eq!(said(&denied), said(&unknown));
        }
        for (query, ids) in [("", vec!["other"]), ("patientId=12345", vec![]), ("limit=1", vec!["other"])] {
            assert_eq!(RECORDS.found(&stack, doctor.clone(), query).await, ids, "{query}");
            let list = read(&stack, &doctor, &format!("/api/records?{query}")).await.json();
            assert_eq!(list["nextCursor"], serde_json::Value::Null, "{query}");
        }
        // Who treats writes down what they did all the same.
        let new = record("new", "12345", "2024-08-02");
        let _ = call(&stack, &doctor, Method::POST, "/api/records", Some(&new)).await.expect(201);
        let _ = read(&stack, &doctor, "/api/records/new").await.expect(404);
        for who in [colleague, Role::Admin.into(), Role::PrivacyOfficer.into(), Who::patient("12345")] {
            let _ = read(&stack, &who, "/api/records/mine").await.expect(200);
            assert!(RECORDS.found(&stack, who.clone(), "patientId=12345").await.len() == 2, "{who:?}");
            assert!(RECORDS.found(&stack, who.clone(), "").await.len() >= 2, "{who:?}");
        }
        share_again(&stack, "12345", &consent).await;
        until_status(&stack, &doctor, 200).await;
        assert_eq!(RECORDS.found(&stack, doctor, "").await, ["new", "other", "mine"]);
    }

    async fn a_consent_names_a_role_or_a_user_too_and_nobody_else(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let (doctor, colleague) = (Who::clinician("prov001"), Who::clinician("prov002"));
        for (who, theirs) in [(r#"{"role": "clinician"}"#, 404), (r#"{"user": "usr_prov001"}"#, 200)] {
            let consent = deny(&stack, "12345", who, RECORDS_OF).await;
            until_status(&stack, &doctor, 404).await;
            let _ = read(&stack, &colleague, "/api/records/mine").await.expect(theirs);
            share_again(&stack, "12345", &consent).await;
            until_status(&stack, &doctor, 200).await;
        }
        // Of what is not records, records say nothing; nor of a role that they do not have. A later one that is kept to shows that these came.
        for (who, what) in [(r#"{"role": "clinician"}"#, r#"["bills", "clinical", "appointments"]"#), (r#"{"role": "lab"}"#, RECORDS_OF)] {
            let _ = deny(&stack, "12345", who, what).await;
        }
        let _ = deny(&stack, "12345", r#"{"provider": "prov002"}"#, RECORDS_OF).await;
        until_status(&stack, &colleague, 404).await;
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(200);
        // Somebody who is a patient too sees their own.
        let both = Who { roles: vec![Role::Clinician, Role::Patient], patient_id: Some("12345".to_owned()), ..Who::clinician("prov002") };
        let _ = read(&stack, &both, "/api/records/mine").await.expect(200);
        assert_eq!(RECORDS.found(&stack, both, "").await, ["other", "mine"]);
    }

    async fn in_an_emergency_it_is_there_and_the_audit_says_past_what(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let consent = deny(&stack, "12345", r#"{"role": "clinician"}"#, RECORDS_OF).await;
        until_status(&stack, &doctor, 404).await;
        // Who treats them breaks the glass as anybody does.
        let granted = break_glass(&stack, &doctor, "12345", REASON).await.expect(201).json();
        let by = format!("break-glass {}, past consent {consent}", granted["grantId"].as_str().unwrap());
        let reasons = async |operation: &str| {
            let entries = entries_of(&stack, operation).await;
            entries.into_iter().map(|found| found.entry.reason.unwrap_or_default()).next().unwrap()
        };
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(200);
        assert_eq!(reasons("get_record_by_id").await, by);
        for (query, ids) in [("", vec!["other", "mine"]), ("patientId=12345", vec!["mine"])] {
            assert_eq!(RECORDS.found(&stack, doctor.clone(), query).await, ids, "{query}");
            assert_eq!(reasons("list_records").await, by, "{query}");
        }
        let _ = call(&stack, &doctor, Method::PUT, "/api/records/mine", Some(r#"{"treatment": "Oxygen"}"#)).await.expect(200);
        assert_eq!(reasons("update_record").await, by);
        // Who is not restricted passes over it, too.
        let past = format!("past consent {consent}");
        for role in [Role::Admin, Role::PrivacyOfficer] {
            let _ = read(&stack, &role.into(), "/api/records/mine").await.expect(200);
            assert_eq!(reasons("get_record_by_id").await, past);
            let _ = RECORDS.found(&stack, role, "").await;
            assert_eq!(reasons("list_records").await, past);
            let _ = RECORDS.found(&stack, role, "patientId=67890").await;
            assert_eq!(reasons("list_records").await, "");
        }
        stack.clock.advance(chrono::TimeDelta::hours(1));
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(404);
    }

    async fn a_restriction_and_its_withdrawal_are_kept_to_within_two_seconds(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let (mut took, mut consent) = (Vec::new(), None::<String>);
        for _ in 0..10 {
            let status = if let Some(consent) = consent.take() {
                share_again(&stack, "12345", &consent).await;
                200
            } else {
                consent = Some(deny(&stack, "12345", r#"{"role": "clinician"}"#, RECORDS_OF).await);
                404
            };
            let changed = Instant::now();
            while read(&stack, &doctor, "/api/records/mine").await.status != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            took.push(changed.elapsed());
        }
        // A relay that was not woken looks every five seconds; one of ten may meet a machine that stands still.
        assert!(took.iter().filter(|took| **took > ROUND).count() <= 1, "{took:?}");
    }

    async fn of_an_erased_patient_nothing_is_kept_that_comes_late(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = deny(&stack, "12345", r#"{"user": "zebrauser"}"#, RECORDS_OF).await;
        let _ = deny(&stack, "12345", r#"{"provider": "prov001"}"#, RECORDS_OF).await;
        until_status(&stack, &doctor, 404).await;
        let database = stack.database(ServiceName::MedicalRecordsService);
        database.no_file_holds(&["zebrauser"]);
        erase(&stack, "12345", ServiceName::MedicalRecordsService).await;
        let event = r#"{"id": "evt_late", "occurredAt": "2026-01-15T08:00:00Z", "type": "consent.changed.v1", "data": {"patientId": "12345"}}"#;
        let _ = call(&stack, &Role::Service.into(), Method::POST, "/internal/events", Some(event)).await.expect(200);
        let mut tx = database.db().read().await.unwrap();
        for table in ["select count(*) from denial", "select count(*) from denial_edition"] {
            let left: i64 = db::on!(tx, |conn| sqlx::query_scalar(table).fetch_one(conn).await).unwrap();
            assert_eq!(left, 0, "{table}");
        }
    }

    async fn only_the_patient_service_tells_of_consents(stack: Arc<TestStack>) {
        let event = r#"{"id": "evt_1", "occurredAt": "2026-01-15T08:00:00Z", "type": "consent.changed.v1", "data": {"patientId": "12345"}}"#;
        for (teller, status) in [(ServiceName::AppointmentService, 403), (ServiceName::PatientService, 200)] {
            let request = stack.request(ServiceName::MedicalRecordsService, Method::POST, "/internal/events");
            let request = request.bearer_auth(stack.stolen_token(teller)).header("content-type", "application/json");
            let _ = testkit::stack::send(request.body(event)).await.expect(status);
        }
    }
}
