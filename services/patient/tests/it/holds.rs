//! Legal holds: who places and lifts them, and what becomes of who is deleted under one.

use super::*;
use serde_json::{Value, json};

const SERVICE: ServiceName = ServiceName::PatientService;
const PATH: &str = "/api/patients/12345/hold";

async fn hold(stack: &TestStack, who: impl Into<Who>, method: Method, body: Option<&str>) -> testkit::Reply {
    stack.call(SERVICE, who, method, PATH, body).await
}

async fn place(stack: &TestStack, body: &Value) -> testkit::Reply {
    hold(stack, Role::PrivacyOfficer, Method::PUT, Some(&body.to_string())).await
}

/// What this service keeps: of each thing its kind.
async fn kinds(stack: &TestStack) -> Vec<Value> {
    let path = "/api/patients/12345/retained";
    let page = stack.call(SERVICE, Role::PrivacyOfficer, Method::GET, path, None).await.expect(200).json();
    page["items"].as_array().unwrap().iter().map(|item| item["kind"].clone()).collect()
}

/// Has what has had its time taken away, or told: what of this service.
async fn run(stack: &TestStack, dry_run: bool) -> Value {
    let body = json!({"dryRun": dry_run}).to_string();
    let path = "/api/admin/retention";
    let report =
        stack.call(SERVICE, Role::PrivacyOfficer, Method::POST, path, Some(&body)).await.expect(200).json();
    assert_eq!(report["services"][1]["status"], "NoAnswer");
    assert_eq!(
        (&report["services"][0]["service"], &report["services"][0]["status"]),
        (&json!("patient-service"), &json!("Done"))
    );
    report["services"][0]["shredded"].clone()
}

/// Of the report of this service: how many of what are kept but for the audit, and what is gone.
async fn own_part(stack: &TestStack) -> (Value, Value) {
    let path = "/api/patients/12345/erasure";
    let report = stack.call(SERVICE, Role::PrivacyOfficer, Method::GET, path, None).await.expect(200).json();
    let own = &report["services"][0];
    let kept = own["kept"].as_array().unwrap().iter().filter(|kept| kept["kind"] != "audit");
    (kept.map(|kept| json!([kept["kind"], kept["count"]])).collect(), own["shredded"].clone())
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn a_hold_says_why_and_until_when_and_is_lifted(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = hold(&stack, Role::Admin, Method::GET, None).await.expect(404);
        let _ = hold(&stack, Role::Admin, Method::DELETE, None).await.expect(404);
        let placed = place(&stack, &json!({"reason": "Doe v. Clinic", "until": "2026-12-31"})).await.expect(200);
        assert_eq!((placed.json(), placed.header("etag")), (json!({"patientId": "12345", "status": "Placed"}), "\"v1\""));
        let read = hold(&stack, Role::Admin, Method::GET, None).await.expect(200);
        assert_eq!((read.header("etag"), read.header("cache-control")), ("\"v1\"", "no-store"));
        assert_eq!(read.json(), json!({
            "patientId": "12345", "reason": "Doe v. Clinic", "until": "2026-12-31", "placedAt": "2026-01-15T09:00:00Z", "userId": "usr_privacy-officer",
        }));
        let changed = place(&stack, &json!({"reason": "Doe v. Clinic, on appeal"})).await.expect(200);
        assert_eq!(changed.header("etag"), "\"v2\"");
        assert_eq!(hold(&stack, Role::Admin, Method::GET, None).await.json()["until"], Value::Null);
        let lifted = hold(&stack, Role::Admin, Method::DELETE, None).await.expect(200);
        assert_eq!(lifted.json(), json!({"patientId": "12345", "status": "Lifted"}));
        let _ = hold(&stack, Role::Admin, Method::GET, None).await.expect(404);
        assert_eq!(place(&stack, &json!({"reason": "Another"})).await.expect(200).header("etag"), "\"v4\"");
    }

    async fn a_hold_needs_a_reason_and_a_day_that_is_to_come(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for (body, fault) in [
            (json!({}), "reason"), (json!({"reason": " "}), "reason"), (json!({"reason": "x".repeat(1001)}), "reason"),
            (json!({"reason": "R", "until": "2026-01-14"}), "until"), (json!({"reason": "R", "until": "soon"}), "until"),
            (json!({"reason": "R", "for": 1}), "for"),
        ] {
            assert_eq!(place(&stack, &body).await.expect(422).faults(), [fault], "{body}");
        }
        let _ = hold(&stack, Role::Admin, Method::GET, None).await.expect(404);
    }

    async fn nobody_else_sees_or_places_one(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for who in [Role::Clinician.into(), Role::Receptionist.into(), Role::Billing.into(), Who::patient("12345")] {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let body = (method == Method::PUT).then_some(r#"{"reason": "R"}"#);
                let _ = hold(&stack, who.clone(), method, body).await.expect(403);
            }
            for path in ["/api/patients/12345/retained", "/api/patients/67890/retained"] {
                let _ = stack.call(SERVICE, who.clone(), Method::GET, path, None).await.expect(403);
            }
            let run = r#"{"dryRun": true}"#;
            let _ = stack.call(SERVICE, who, Method::POST, "/api/admin/retention", Some(run)).await.expect(403);
        }
        let nobody = r#"{"reason": "R"}"#;
        let _ = stack.call(SERVICE, Role::Admin, Method::PUT, "/api/patients/nobody/hold", Some(nobody)).await.expect(404);
    }

    async fn who_is_deleted_under_a_hold_is_kept_out_of_sight_until_it_is_lifted(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = testkit::patients::deny(&stack, "12345", r#"{"role": "billing"}"#, r#"["records"]"#).await;
        let _ = stack.call(SERVICE, Role::Admin, Method::PUT, "/api/patients/12345/care-team/prov001", Some("{}")).await;
        let _ = place(&stack, &json!({"reason": "R"})).await.expect(200);
        assert_eq!(PATIENTS.delete(&stack, "12345").await.expect(200).json()["status"], "Deleted");
        for who in [Who::from(Role::Admin), Role::PrivacyOfficer.into(), Role::Receptionist.into(), Who::patient("12345")] {
            let read = stack.call(SERVICE, who.clone(), Method::GET, "/api/patients/12345", None).await;
            assert_eq!(read.status, 404, "{who:?}");
        }
        assert_eq!(PATIENTS.found(&stack, Role::Admin, "").await, [""; 0]);
        assert_eq!(PATIENTS.found(&stack, Role::Admin, "name=John").await, [""; 0]);
        let (kept, gone) = own_part(&stack).await;
        assert!(kept.as_array().unwrap().contains(&json!(["patient", 1])), "{kept}");
        assert_eq!(gone, json!([]));
        let path = "/api/patients/12345/retained";
        let shown = stack.call(SERVICE, Role::PrivacyOfficer, Method::GET, path, None).await.expect(200).json();
        let items = shown["items"].as_array().unwrap();
        assert_eq!(shown["nextCursor"], "appointment-service");
        for cursor in ["nobody", "patient-service~", "patient-service~x", "patient-service~%00/", "auth-service"] {
            let path = format!("{path}?cursor={cursor}");
            assert_eq!(stack.call(SERVICE, Role::Admin, Method::GET, &path, None).await.expect(400).faults(), ["cursor"], "{cursor}");
        }
        let profile = items.iter().find(|item| item["kind"] == "patient").unwrap();
        assert_eq!((&profile["data"]["name"], &profile["until"]), (&json!("John Doe"), &Value::Null));
        // It is told of one who is gone, and lifted too.
        assert_eq!(hold(&stack, Role::Admin, Method::GET, None).await.expect(200).json()["reason"], "R");
        assert_eq!((run(&stack, false).await, kinds(&stack).await), (json!([]), vec![json!("care-team"), json!("consents"), json!("patient")]));
        let _ = hold(&stack, Role::Admin, Method::DELETE, None).await.expect(200);
        let dry = run(&stack, true).await;
        assert_eq!(run(&stack, false).await, dry);
        let gone = own_part(&stack).await;
        assert_eq!((gone.0, kinds(&stack).await), (json!([]), Vec::<Value>::new()));
        assert!(gone.1.as_array().unwrap().contains(&json!({"kind": "patient", "count": 1})), "{:?}", gone.1);
    }

    async fn a_hold_that_is_over_by_its_day_keeps_nothing_and_nobody_is_told_why_it_was(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = place(&stack, &json!({"reason": "R", "until": "2026-01-16"})).await.expect(200);
        // To the end of the day, where the clinic is.
        stack.clock.advance("2026-01-16T23:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap() - stack.clock.now());
        let _ = hold(&stack, Role::Admin, Method::GET, None).await.expect(404);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        assert_eq!(kinds(&stack).await, Vec::<Value>::new());
        assert_eq!(own_part(&stack).await, (json!([]), json!([{"kind": "patient", "count": 1}])));
    }

    async fn what_a_hold_says_is_sealed_and_what_it_is_for_stands_in_the_audit(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = place(&stack, &json!({"reason": "CANARY v. Clinic"})).await.expect(200);
        let db = stack.database(SERVICE).db();
        let mut tx = db.begin().await.unwrap();
        let sql = "select body from hold_reason where patient_id = '12345'";
        let kept: Vec<u8> = db::on!(tx, |conn| sqlx::query_scalar(sql).fetch_one(conn).await).unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains("CANARY"));
        drop(tx);
        let filter = db::AuditFilter { operation: Some("place_hold".to_owned()), limit: 10, ..db::AuditFilter::default() };
        let entries = db::audit_find(db, &filter).await.unwrap();
        assert_eq!(entries[0].entry.reason.as_deref(), Some("CANARY v. Clinic"));
        assert_eq!(entries[0].entry.patients, ["12345"]);
    }
}
