//! What is kept of records when their patient is erased: for the years that the clinic has said, or as long as a legal hold is on the patient.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use settings::ServiceSettings;
use testkit::patients::{carry_retention, retained, tell_hold};

use super::*;

const SERVICE: ServiceName = ServiceName::MedicalRecordsService;
const HOLD: &str = r#"{"patientId": "12345", "version": 1, "isActive": true}"#;
const LIFTED: &str = r#"{"patientId": "12345", "version": 2, "isActive": false}"#;

fn three_years(settings: &mut ServiceSettings) {
    settings.retention.medical_records = 3;
}

/// A record of 2024 and one of 2020, both written down in 2026, and an amendment of the first; and somebody else's.
async fn plant(stack: &TestStack) {
    register(stack, "12345").await;
    register(stack, "67890").await;
    for (id, patient, day) in [
        ("rec001", "12345", "2024-08-01"),
        ("rec002", "12345", "2020-08-01"),
        ("other", "67890", "2024-08-01"),
    ] {
        let _ = RECORDS.post(stack, &record(id, patient, day)).await.expect(201);
    }
    let asked = r#"{"text": "The left hand.", "reason": "It was mistyped."}"#;
    let path = "/api/records/rec001/amendments";
    let _ = call(stack, &Who::patient("12345"), Method::POST, path, Some(asked)).await.expect(201);
}

fn at(stack: &TestStack, instant: &str) {
    let instant: DateTime<Utc> = instant.parse().unwrap();
    stack.clock.advance(instant - stack.clock.now());
}

/// The kinds that are kept of them, without the number in an amendment's id.
async fn kinds(stack: &TestStack) -> Vec<String> {
    let kept = retained(stack, SERVICE, "12345").await;
    kept.into_iter().map(|(name, _)| name.split_once('/').unwrap().0.to_owned()).collect()
}

async fn report(stack: &TestStack) -> Value {
    let path = "/internal/erasure/12345";
    stack.call(SERVICE, Role::Service, Method::GET, path, None).await.expect(200).json()
}

/// Of the report, what is kept but for the audit: how many of what, and until when.
fn kept(report: &Value) -> Vec<Value> {
    let kept = report["kept"].as_array().unwrap().iter().filter(|kept| kept["kind"] != "audit");
    kept.map(|kept| json!([kept["kind"], kept["count"], kept["until"]])).collect()
}

/// How many of each kind.
fn counts(kinds: &Value) -> Value {
    let each = kinds.as_array().unwrap().iter();
    each.map(|kind| (kind["kind"].as_str().unwrap().to_owned(), kind["count"].clone())).collect()
}

/// Nobody finds or reads them where records are read, whatever they are.
async fn assert_nowhere_in_use(stack: &TestStack) {
    for who in [
        Who::from(Role::Admin),
        Role::PrivacyOfficer.into(),
        Who::clinician("prov001"),
        Who::patient("12345"),
        Role::Receptionist.into(),
    ] {
        for path in ["/api/records/rec001", "/api/records/rec002", "/api/records/rec001/amendments"] {
            let status = read(stack, &who, path).await.status;
            assert!(matches!(status, 403 | 404), "{who:?} {path}: {status}");
        }
        for path in ["/api/records", "/api/records?patientId=12345", "/api/records/amendments"] {
            let list = read(stack, &who, path).await;
            assert!(list.status == 403 || !list.text.contains("12345"), "{who:?} {path}: {}", list.text);
        }
    }
    for body in [r#"{"diagnosis": "Cold"}"#, r#"{"date": "2030-01-01"}"#] {
        let _ = RECORDS.put(stack, "rec001", body).await.expect(404);
    }
    let _ = RECORDS.delete(stack, "rec001").await.expect(404);
    assert_eq!(
        RECORDS.post(stack, &record("rec001", "67890", "2024-08-01")).await.expect(409).faults(),
        ["recordId"]
    );
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE], settings = three_years;
    async fn what_has_its_years_is_kept_out_of_sight_and_goes_when_they_are_over(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_care(&stack, "evt_care", "12345", "prov001").await;
        erase(&stack, "12345", SERVICE).await;
        assert_nowhere_in_use(&stack).await;
        let items = retained(&stack, SERVICE, "12345").await;
        assert_eq!(items.len(), 3, "{items:?}");
        let (name, one) = &items[1];
        assert_eq!((name.as_str(), &one["diagnosis"], &one["date"]), ("records/rec001", &json!("Flu"), &json!("2024-08-01")));
        // Written down in 2026: what is of a day before that is as old as its last change.
        let told = report(&stack).await;
        assert_eq!(kept(&told), [json!(["amendments", 1, "2030-01-02T00:00:00Z"]), json!(["records", 2, "2030-01-02T00:00:00Z"])]);
        assert_eq!((&told["status"], &told["shredded"]), (&json!("Completed"), &json!([])));

        at(&stack, "2030-01-01T23:59:59Z");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        at(&stack, "2030-01-02T00:00:00Z");
        let dry = carry_retention(&stack, SERVICE, true).await;
        assert_eq!(dry["shredded"], json!([{"kind": "amendments", "count": 1}, {"kind": "records", "count": 2}]));
        assert_eq!(retained(&stack, SERVICE, "12345").await.len(), 3, "a dry run changes nothing");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], dry["shredded"]);
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
        let told = report(&stack).await;
        assert_eq!((kept(&told), counts(&told["shredded"])), (Vec::new(), counts(&dry["shredded"])));
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        let _ = RECORDS.get(&stack, "other").await.expect(200);
    }

    async fn a_copy_of_what_was_kept_opens_no_more_when_the_year_is_over(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        let db = stack.database(SERVICE).db();
        let mut tx = db.begin().await.unwrap();
        let sql = "select body from retained where id = 'rec001'";
        let copy: Vec<u8> = db::on!(tx, |conn| sqlx::query_scalar(sql).fetch_one(conn).await).unwrap();
        drop(tx);
        let place = db::Place { table: "retained", column: "body", row: "records/rec001" };
        let _: Value = db.vault().open_json(&db::Subject::Year(2029), place, &copy).await.unwrap();
        at(&stack, "2030-01-02T00:00:00Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        // The key stands a day longer than the year does.
        assert!(!db.vault().is_destroyed(&db::Subject::Year(2029)).await.unwrap());
        at(&stack, "2030-01-03T00:00:00Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        // This process forgets the key that it has seen within a minute.
        stack.database(SERVICE).clock().advance(chrono::TimeDelta::seconds(61));
        let opened = db.vault().open_json::<Value>(&db::Subject::Year(2029), place, &copy).await;
        assert!(matches!(opened, Err(db::Error::KeyDestroyed { .. })), "{opened:?}");
    }

    async fn an_event_that_comes_again_keeps_nothing_twice(stack: Arc<TestStack>) {
        plant(&stack).await;
        for event in ["evt_1", "evt_1", "evt_2"] {
            let _ = tell_erased(&stack, SERVICE, event, "12345").await;
        }
        assert_eq!(kinds(&stack).await, ["amendments", "records", "records"]);
        assert_eq!(report(&stack).await["shredded"], json!([]));
    }

    async fn a_patient_with_many_records_has_all_of_them_kept_and_taken_away(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for number in 0..120 {
            let _ = RECORDS.post(&stack, &record(&format!("r{number}"), "12345", "2024-08-01")).await.expect(201);
        }
        erase(&stack, "12345", SERVICE).await;
        assert_eq!(kept(&report(&stack).await), [json!(["records", 120, "2030-01-02T00:00:00Z"])]);
        at(&stack, "2030-01-02T00:00:00Z");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([{"kind": "records", "count": 120}]));
        assert_eq!(report(&stack).await["shredded"], json!([{"kind": "records", "count": 120}]));
    }

    async fn a_record_that_is_deleted_by_itself_under_a_hold_has_no_years(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, false).await;
        let _ = RECORDS.delete(&stack, "rec001").await.expect(200);
        let _ = carry_retention(&stack, SERVICE, false).await;
        assert_eq!(kinds(&stack).await, ["amendments", "records"]);
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        let gone = carry_retention(&stack, SERVICE, false).await["shredded"].clone();
        assert_eq!(gone, json!([{"kind": "amendments", "count": 1}, {"kind": "records", "count": 1}]));
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
        let _ = RECORDS.get(&stack, "rec002").await.expect(200);
    }

    async fn records_written_while_their_patient_is_erased_are_kept_whole_or_refused(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = RECORDS.post(&stack, RECORD).await.expect(201);
        let writers: Vec<_> = (0..4).map(|at| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move {
                let id = format!("r{at}");
                let created = RECORDS.post(&stack, &record(&id, "12345", "2024-08-01")).await.status;
                let changed = RECORDS.put(&stack, "rec001", &format!(r#"{{"diagnosis": "Flu {at}"}}"#)).await;
                assert!(matches!(changed.status, 200 | 404), "{}", changed.text);
                (id, created)
            })
        }).collect();
        erase(&stack, "12345", SERVICE).await;
        let mut written = vec!["records/rec001".to_owned()];
        for writer in writers {
            let (id, created) = writer.await.unwrap();
            assert!(matches!(created, 201 | 422), "{created}");
            written.extend((created == 201).then(|| format!("records/{id}")));
        }
        let mut found: Vec<_> = retained(&stack, SERVICE, "12345").await.into_iter().map(|(name, _)| name).collect();
        written.sort();
        found.sort();
        assert_eq!(found, written);
    }

    async fn a_hold_stops_the_end_of_the_years_and_what_it_kept_goes_when_it_is_lifted(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        tell_hold(&stack, SERVICE, "evt_hold", HOLD, false).await;
        at(&stack, "2030-02-01T00:00:00Z");
        assert_eq!(carry_retention(&stack, SERVICE, true).await["shredded"], json!([]));
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        assert!(stack.database(SERVICE).db().vault().is_destroyed(&db::Subject::Year(2029)).await.unwrap());
        assert_eq!(kinds(&stack).await, ["amendments", "records", "records"]);
        assert_eq!(kept(&report(&stack).await), [json!(["amendments", 1, null]), json!(["records", 2, null])]);
        assert!(report(&stack).await["kept"][0]["why"].as_str().unwrap().contains("legal hold"));
        // An older state does not come after it.
        tell_hold(&stack, SERVICE, "evt_lifted", LIFTED, false).await;
        tell_hold(&stack, SERVICE, "evt_late", HOLD, false).await;
        let dry = carry_retention(&stack, SERVICE, true).await["shredded"].clone();
        assert_eq!(dry, json!([{"kind": "amendments", "count": 1}, {"kind": "records", "count": 2}]));
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], dry);
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
    }
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn without_years_a_hold_keeps_what_would_go_until_it_is_lifted(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, true).await;
        assert_nowhere_in_use(&stack).await;
        assert_eq!(kinds(&stack).await, ["amendments", "records", "records"]);
        assert_eq!(report(&stack).await["status"], "Completed");
        let hold = db::Subject::Hold { patient: "12345", version: 1 };
        let vault = stack.database(SERVICE).db().vault();
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        let _ = carry_retention(&stack, SERVICE, false).await;
        assert!(vault.is_destroyed(&hold).await.unwrap());
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
        assert_eq!(counts(&report(&stack).await["shredded"]), json!({"amendments": 1, "records": 2}));
    }

    async fn a_hold_that_has_a_last_day_is_over_after_it(stack: Arc<TestStack>) {
        plant(&stack).await;
        let hold = r#"{"patientId": "12345", "version": 1, "isActive": true, "until": "2026-03-01T00:00:00Z"}"#;
        tell_hold(&stack, SERVICE, "evt_1", hold, true).await;
        at(&stack, "2026-02-28T23:59:59Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        assert_eq!(kinds(&stack).await.len(), 3);
        at(&stack, "2026-03-01T00:00:00Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        assert_eq!(kinds(&stack).await.len(), 0);
    }

    async fn a_hold_that_was_lifted_before_keeps_nothing_and_one_on_somebody_else_neither(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, false).await;
        tell_hold(&stack, SERVICE, "evt_3", &HOLD.replace("12345", "67890"), false).await;
        erase(&stack, "12345", SERVICE).await;
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
        assert_eq!(report(&stack).await["shredded"], json!([{"kind": "records", "count": 2}, {"kind": "amendments", "count": 1}]));
    }

    async fn a_record_that_is_deleted_while_a_hold_is_on_its_patient_is_kept_aside(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, false).await;
        let _ = RECORDS.delete(&stack, "rec001").await.expect(200);
        let _ = RECORDS.get(&stack, "rec001").await.expect(404);
        assert_eq!(kinds(&stack).await, ["amendments", "records"]);
        // Another hold's key is another: what the first kept does not open the second's, nor end it.
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        let _ = carry_retention(&stack, SERVICE, false).await;
        tell_hold(&stack, SERVICE, "evt_3", &HOLD.replace(r#""version": 1"#, r#""version": 3"#), true).await;
        assert_eq!(retained(&stack, SERVICE, "12345").await.len(), 1);
    }

    async fn what_is_there_without_its_key_goes_with_the_next_run(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, true).await;
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        // As when an older copy of the data is put beside the latest keys.
        stack.database(SERVICE).db().vault().destroy(&db::Subject::Hold { patient: "12345", version: 1 }).await.unwrap();
        // As the service knows within a minute.
        stack.clock.advance(chrono::TimeDelta::seconds(61));
        assert_eq!(retained(&stack, SERVICE, "12345").await, []);
        let gone = carry_retention(&stack, SERVICE, false).await["shredded"].clone();
        assert_eq!(gone, json!([{"kind": "amendments", "count": 1}, {"kind": "records", "count": 2}]));
    }

    async fn what_goes_stands_in_the_audit_with_whose_it_was_and_how_much(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, true).await;
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        let _ = carry_retention(&stack, SERVICE, false).await;
        let entries = super::break_glass::entries_of(&stack, "retention").await;
        let entry = &entries[0].entry;
        assert_eq!(entries.len(), 1);
        assert_eq!(entry.reason.as_deref(), Some("over: amendments 1, records 2"));
        assert_eq!(entry.patients.iter().map(String::as_str).collect::<Vec<_>>(), ["12345"]);
    }
}
