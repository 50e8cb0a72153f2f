//! For how long the books keep bills of erased patients, and what a legal hold keeps beside them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use settings::ServiceSettings;
use testkit::patients::{carry_retention, retained, tell_hold};

use super::*;

const SERVICE: ServiceName = ServiceName::BillingService;
const HOLD: &str = r#"{"patientId": "12345", "version": 1, "isActive": true}"#;
const LIFTED: &str = r#"{"patientId": "12345", "version": 2, "isActive": false}"#;

fn three_years(settings: &mut ServiceSettings) {
    settings.retention.bills = Some(3);
}

fn no_years(settings: &mut ServiceSettings) {
    settings.retention.bills = Some(0);
}

/// A draft, and a bill that was sent.
async fn plant(stack: &TestStack) {
    register(stack, "12345").await;
    let _ = BILLS.post(stack, &bill("draft", "12345", "Draft")).await.expect(201);
    let _ = BILLS.post(stack, BILL).await.expect(201);
}

fn at(stack: &TestStack, instant: &str) {
    let instant: DateTime<Utc> = instant.parse().unwrap();
    stack.clock.advance(instant - stack.clock.now());
}

/// What is kept but for the audit: how many of what, and until when.
async fn kept(stack: &TestStack) -> Vec<Value> {
    let path = "/internal/erasure/12345";
    let report = stack.call(SERVICE, Role::Service, Method::GET, path, None).await.expect(200).json();
    let kept = report["kept"].as_array().unwrap().iter().filter(|kept| kept["kind"] != "audit");
    kept.map(|kept| json!([kept["kind"], kept["count"], kept["until"]])).collect()
}

async fn names(stack: &TestStack) -> Vec<String> {
    retained(stack, SERVICE, "12345").await.into_iter().map(|(name, _)| name).collect()
}

async fn status(stack: &TestStack, who: impl Into<Who>) -> u16 {
    BILLS.call(stack, who, Method::GET, "/api/bills/bill789", None).await.status
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE], settings = three_years;
    async fn a_bill_goes_when_its_years_are_over(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        assert_eq!(kept(&stack).await, [json!(["bills", 1, "2030-01-02T00:00:00Z"])]);
        assert_eq!(status(&stack, Role::Billing).await, 200);
        assert_eq!(status(&stack, Role::Receptionist).await, 404);
        assert_eq!(status(&stack, Who::patient("12345")).await, 404);
        at(&stack, "2030-01-01T23:59:59Z");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        at(&stack, "2030-01-02T00:00:00Z");
        let dry = carry_retention(&stack, SERVICE, true).await["shredded"].clone();
        assert_eq!((&dry, status(&stack, Role::Billing).await), (&json!([{"kind": "bills", "count": 1}]), 200));
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], dry);
        assert_eq!((status(&stack, Role::Billing).await, kept(&stack).await), (404, Vec::new()));
        assert_eq!(BILLS.post(&stack, BILL).await.expect(422).faults(), ["patientId"]);
    }

    async fn the_years_of_a_bill_that_is_paid_count_from_then_on(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        at(&stack, "2028-06-01T00:00:00Z");
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Paid"}"#).await.expect(200);
        let _ = carry_retention(&stack, SERVICE, false).await;
        assert_eq!(kept(&stack).await, [json!(["bills", 1, "2032-01-02T00:00:00Z"])]);
        at(&stack, "2030-02-01T00:00:00Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert!(read.text.ends_with(r#""status":"Paid","restricted":true}"#), "{}", read.text);
    }

    async fn a_copy_of_a_bill_opens_no_more_when_its_year_is_over(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        let db = stack.database(SERVICE).db();
        let mut tx = db.begin().await.unwrap();
        let sql = "select body from bill where id = 'bill789'";
        let copy: Vec<u8> = db::on!(tx, |conn| sqlx::query_scalar(sql).fetch_one(conn).await).unwrap();
        drop(tx);
        let place = db::Place { table: "bill", column: "body", row: "bill789" };
        let _: Value = db.vault().open_json(&db::Subject::Year(2029), place, &copy).await.unwrap();
        at(&stack, "2030-01-03T00:00:00Z");
        let _ = carry_retention(&stack, SERVICE, false).await;
        // This process forgets the key that it has seen within a minute.
        stack.database(SERVICE).clock().advance(chrono::TimeDelta::seconds(61));
        let opened = db.vault().open_json::<Value>(&db::Subject::Year(2029), place, &copy).await;
        assert!(matches!(opened, Err(db::Error::KeyDestroyed { .. })), "{opened:?}");
    }

    async fn a_hold_keeps_a_draft_and_stops_the_end_of_what_was_sent(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, true).await;
        assert_eq!(names(&stack).await, ["bills/draft"]);
        let _ = BILLS.get(&stack, "draft").await.expect(404);
        // It can still be paid.
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Paid"}"#).await.expect(200);
        at(&stack, "2030-02-01T00:00:00Z");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        assert_eq!(names(&stack).await, ["bills/bill789", "bills/draft"]);
        let _ = BILLS.get(&stack, "bill789").await.expect(404);
        tell_hold(&stack, SERVICE, "evt_2", LIFTED, false).await;
        let dry = carry_retention(&stack, SERVICE, true).await["shredded"].clone();
        assert_eq!(dry, json!([{"kind": "bills", "count": 2}]));
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], dry);
        assert_eq!(names(&stack).await, [""; 0]);
    }
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE], settings = no_years;
    async fn with_no_years_bills_go_with_their_patient(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        assert_eq!((status(&stack, Role::Billing).await, kept(&stack).await), (404, Vec::new()));
    }

    async fn but_not_while_a_hold_is_on_them(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, true).await;
        assert_eq!(names(&stack).await, ["bills/bill789", "bills/draft"]);
        assert_eq!(status(&stack, Role::Billing).await, 404);
    }
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn with_nothing_said_bills_are_kept_with_no_end(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        at(&stack, "2035-01-01T00:00:00Z");
        assert_eq!(carry_retention(&stack, SERVICE, false).await["shredded"], json!([]));
        assert_eq!((kept(&stack).await, status(&stack, Role::Billing).await), (vec![json!(["bills", 1, null])], 200));
    }

    async fn a_draft_that_is_deleted_while_a_hold_is_on_its_patient_is_kept_aside(stack: Arc<TestStack>) {
        plant(&stack).await;
        tell_hold(&stack, SERVICE, "evt_1", HOLD, false).await;
        let _ = BILLS.delete(&stack, "draft").await.expect(200);
        let _ = BILLS.get(&stack, "draft").await.expect(404);
        assert_eq!(names(&stack).await, ["bills/draft"]);
    }

    async fn what_the_version_before_restricted_gets_its_years_when_they_are_said(stack: Arc<TestStack>) {
        plant(&stack).await;
        erase(&stack, "12345", SERVICE).await;
        let db = stack.database(SERVICE).db();
        let mut tx = db.begin().await.unwrap();
        let sql = "update bill set from_year = null where restricted";
        db::on!(tx, |conn| sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        let _ = carry_retention(&stack, SERVICE, false).await;
        let mut tx = db.begin().await.unwrap();
        let sql = "select from_year from bill where restricted";
        let from: Option<i64> = db::on!(tx, |conn| sqlx::query_scalar(sql).fetch_one(conn).await).unwrap();
        drop(tx);
        assert_eq!((from, status(&stack, Role::Billing).await), (Some(2026), 200));
        // As a service does that was told other years since.
        let currency = std::sync::Arc::from("EUR");
        let bills = billing::store::shelf::Bills { db: db.clone(), years: Some(1), currency };
        let retention = http_kit::Retention::beside(db, Box::new(bills));
        let asked = contracts::retention::RetentionRequest { dry_run: false };
        assert_eq!(retention.answer(asked).await.unwrap().shredded, []);
        let kept = retention.kept(&contracts::id::PatientId::parse("12345").unwrap()).await.unwrap();
        let until = kept[0].until.map(|until| until.to_rfc3339());
        assert_eq!((kept.len(), until.as_deref()), (1, Some("2028-01-02T00:00:00+00:00")));
        assert_eq!(status(&stack, Role::Billing).await, 200);
    }
}
