//! Every operation of every service leaves one entry in the audit; and without the audit, none does anything.

mod calls;

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::endpoint::Access;
use contracts::operations;
use contracts::permission::Role;
use db::{AuditFilter, AuditOutcome, FoundEntry, audit_find, on};
use reqwest::Method;
use serde_json::Value;
use settings::ServiceName;
use testkit::TestStack;
use testkit::stack::{Who, send};

pub(crate) use calls::{Called, Known, calls};

pub(crate) const PATIENT: &str = "12345";

async fn rename(stack: &TestStack, from: &str, to: &str) {
    for service in ServiceName::ALL {
        let mut tx = stack.database(service).db().begin().await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("alter table {from} rename to {to}"));
        on!(tx, |conn| sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
    }
}

/// All that lists show.
async fn shown(stack: &TestStack) -> Vec<String> {
    let mut shown = Vec::new();
    let is_list = |call: &&Called| {
        call.operation.id.starts_with("list_")
            && call.operation.id != "list_audit"
            && !call.path.contains('{')
    };
    for call in calls().iter().filter(is_list) {
        shown.push(call.send(stack, &Known::default()).await.expect(200).text);
    }
    shown
}

async fn entries_of(stack: &TestStack, service: ServiceName, operation: &str) -> Vec<FoundEntry> {
    let operation = Some(operation.to_owned());
    let filter = AuditFilter { operation, limit: 100, ..AuditFilter::default() };
    audit_find(stack.database(service).db(), &filter).await.unwrap()
}

#[test]
fn the_walk_comes_by_every_operation_of_every_service() {
    let walked: BTreeSet<_> = calls().iter().map(|call| call.operation.id).collect();
    let declared: BTreeSet<_> =
        operations().filter(|operation| operation.service.is_some()).map(|operation| operation.id).collect();
    assert_eq!(walked, declared);
}

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn every_call_leaves_one_entry_that_says_whose_data_it_was(stack: Arc<TestStack>) {
        let mut known = Known::default();
        for call in calls() {
            let id = call.operation.id;
            let before = call.entries(&stack).await.len();
            stack.clock.advance(chrono::TimeDelta::milliseconds(1));
            let reply = call.send(&stack, &known).await;
            assert_eq!(reply.status, call.status, "{id}: {}", reply.text);
            known.learn(&call, &reply);
            let entries = call.entries(&stack).await;
            // Others are asked by the services themselves: of these there may be more.
            let by_caller = |found: &&FoundEntry| !found.entry.who.starts_with("service:");
            let new: Vec<_> = entries[..entries.len() - before].iter().filter(by_caller).collect();
            assert_eq!(new.len(), usize::from(call.operation.audited), "{id}");
            let Some(found) = new.first() else { continue };
            let is_about = found.entry.patients.iter().any(|patient| patient == PATIENT);
            assert_eq!(is_about, call.about, "{id} is about {:?}", found.entry.patients);
            let outcome = if call.status < 400 { AuditOutcome::Done } else { AuditOutcome::Refused };
            assert_eq!(found.entry.outcome, outcome, "{id}");
            if call.operation.access != Access::Public {
                assert_eq!(found.entry.who, "usr_caller", "{id}");
            }
        }
    }

    async fn without_the_audit_nothing_is_shown_and_nothing_changes(stack: Arc<TestStack>) {
        let mut known = Known::default();
        let calls = calls();
        let is_end = |call: &&Called| ["cancel_", "delete_", "remove_", "revoke_", "logout"].iter().any(|end| call.operation.id.starts_with(end));
        for call in calls.iter().filter(|call| !is_end(call) && !call.operation.is_internal()) {
            let reply = call.send(&stack, &known).await;
            assert_eq!(reply.status, call.status, "{}: {}", call.operation.id, reply.text);
            known.learn(call, &reply);
        }
        let before = shown(&stack).await;
        rename(&stack, "audit", "audit_away").await;
        for call in &calls {
            let (id, reply) = (call.operation.id, call.send(&stack, &known).await);
            if call.operation.audited {
                assert_eq!((reply.status, &reply.json()["code"]), (503, &Value::from("audit-unavailable")), "{id}: {}", reply.text);
            } else {
                assert_eq!(reply.status, call.status, "{id}: {}", reply.text);
            }
        }
        rename(&stack, "audit_away", "audit").await;
        assert_eq!(shown(&stack).await, before);
    }

    async fn a_list_names_each_of_its_hits_and_nobody_else(stack: Arc<TestStack>) {
        for (id, name) in [("p1", "Anna Adams"), ("p2", "Anna Bell"), ("p3", "Carl Clark")] {
            let body = format!(r#"{{"patientId": "{id}", "name": "{name}", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#);
            let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::POST, "/api/patients", Some(&body)).await.expect(201);
        }
        let _ = stack.call(ServiceName::PatientService, Role::Receptionist, Method::GET, "/api/patients?name=anna", None).await.expect(200);
        let entries = entries_of(&stack, ServiceName::PatientService, "list_patients").await;
        assert_eq!(entries[0].entry.patients, ["p1", "p2"]);
        assert_eq!(entries[0].entry.roles, ["receptionist"]);
    }

    async fn refusals_and_repetitions_are_written_down_too(stack: Arc<TestStack>) {
        let calls = calls();
        for id in ["register_patient", "create_record"] {
            let call = calls.iter().find(|call| call.operation.id == id).unwrap();
            let _ = call.send(&stack, &Known::default()).await.expect(201);
        }
        let records = ServiceName::MedicalRecordsService;
        let path = "/api/records/rec001";
        let stranger = Who::patient("p9");
        let _ = stack.call(records, Role::Receptionist, Method::GET, path, None).await.expect(403);
        let _ = stack.call(records, stranger, Method::GET, path, None).await.expect(404);
        let _ = send(stack.request(records, Method::GET, path)).await.expect(401);
        let _ = stack.call(records, Role::Admin, Method::GET, "/api/records?nonsense=1", None).await.expect(400);
        let told: Vec<_> = entries_of(&stack, records, "get_record_by_id").await.into_iter().map(|found| {
            let entry = found.entry;
            assert_eq!(entry.outcome, AuditOutcome::Refused);
            (entry.who, entry.code.unwrap(), entry.patients)
        }).collect();
        let told: BTreeSet<_> = told.into_iter().collect();
        let expected = [
            ("usr_receptionist", "forbidden", vec![]),
            ("usr_patient", "not-found", vec![PATIENT.to_owned()]),
            ("", "unauthenticated", vec![]),
        ];
        let expected = expected.map(|(who, code, patients)| (who.to_owned(), code.to_owned(), patients));
        assert_eq!(told, expected.into_iter().collect());
        let _ = stack.call(records, Role::Admin, Method::GET, "/api/records?patientId=p1&patientId=p2", None).await.expect(400);
        for found in entries_of(&stack, records, "list_records").await {
            assert_eq!((found.entry.code.as_deref(), found.entry.patients.len()), (Some("invalid-query"), 0));
        }

        let body = calls.iter().find(|call| call.operation.id == "send_email").unwrap().body.clone().unwrap();
        for _ in 0..2 {
            let request = stack
                .request(ServiceName::NotificationService, Method::POST, "/api/notifications/email")
                .bearer_auth(stack.token(Role::Admin))
                .header("idempotency-key", "once")
                .header("content-type", "application/json")
                .body(body.clone());
            let _ = send(request).await.expect(201);
        }
        let sent = entries_of(&stack, ServiceName::NotificationService, "send_email").await;
        assert!(sent.len() == 2 && sent.iter().all(|found| found.entry.patients == [PATIENT]));
    }

    async fn what_one_service_asks_another_is_asked_on_somebodys_behalf_and_nobody_else_says_so(stack: Arc<TestStack>) {
        let calls = calls();
        for id in ["register_patient", "create_bill"] {
            let call = calls.iter().find(|call| call.operation.id == id).unwrap();
            let _ = call.send(&stack, &Known::default()).await.expect(201);
        }
        let asked = entries_of(&stack, ServiceName::PatientService, "patient_by_id").await;
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].entry.who, "service:billing-service");
        assert_eq!(asked[0].entry.on_behalf_of.as_deref(), Some("usr_caller"));

        let request = stack
            .request(ServiceName::PatientService, Method::GET, "/api/patients/12345")
            .bearer_auth(stack.token(Role::Receptionist))
            .header("x-on-behalf-of", "usr_admin");
        let _ = send(request).await.expect(200);
        let asked = entries_of(&stack, ServiceName::PatientService, "patient_by_id").await;
        let own = asked.iter().find(|found| found.entry.who == "usr_receptionist").unwrap();
        assert_eq!(own.entry.on_behalf_of, None);
    }

    async fn who_tries_to_sign_in_is_written_down_by_the_name_they_say(stack: Arc<TestStack>) {
        let wrong = r#"{"username": "admin", "password": "a wrong one"}"#;
        let login = calls().into_iter().find(|call| call.operation.id == "login").unwrap();
        let _ = Called { body: Some(wrong.to_owned()), ..login }.send(&stack, &Known::default()).await.expect(401);
        let login = calls().into_iter().find(|call| call.operation.id == "login").unwrap();
        let _ = login.send(&stack, &Known::default()).await.expect(200);
        let entries = entries_of(&stack, ServiceName::AuthService, "login").await;
        assert_eq!(entries.len(), 2);
        for found in entries {
            assert_eq!(found.entry.name.as_deref(), Some("admin"));
            let is_in = found.entry.outcome == AuditOutcome::Done;
            assert_eq!((is_in, is_in), (found.entry.session.is_some(), found.entry.who.starts_with("usr_")));
        }
    }
}
