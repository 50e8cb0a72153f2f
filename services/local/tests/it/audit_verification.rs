//! Whether the audit is as it was written, asked of all services at once; and what is read of it where it is not.

use std::sync::Arc;

use contracts::permission::Role;
use db::on;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::TestStack;
use testkit::stack::Who;

use crate::audit::{Known, PATIENT, calls};

/// Some calls, of each service but notification's.
async fn some_calls(stack: &TestStack) {
    let mut known = Known::default();
    for call in calls().iter().take_while(|call| call.operation.id != "send_email") {
        known.learn(call, &call.send(stack, &known).await);
    }
}

async fn tamper(stack: &TestStack, service: ServiceName, sql: &'static str) {
    let mut tx = stack.database(service).db().begin().await.unwrap();
    on!(tx, |conn| sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
    tx.commit_unaudited().await.unwrap();
}

async fn told(stack: &Arc<TestStack>, query: &str) -> Value {
    let path = format!("/api/audit/verification{query}");
    stack
        .call(ServiceName::AuthService, Role::PrivacyOfficer, Method::GET, &path, None)
        .await
        .expect(200)
        .json()
}

/// What is said of one service.
fn of(told: &Value, service: ServiceName) -> Value {
    let services = told["services"].as_array().unwrap();
    services.iter().find(|found| found["service"] == service.as_str()).unwrap().clone()
}

/// The verdict on each service, but for those whose audit is sound.
fn verdicts(told: &Value) -> Vec<(String, String)> {
    let text = |found: &Value, member: &str| found[member].as_str().unwrap().to_owned();
    let services = told["services"].as_array().unwrap().iter();
    let all = services.map(|found| (text(found, "service"), text(found, "verdict")));
    all.filter(|(_, verdict)| verdict != "Sound").collect()
}

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn the_first_fault_of_each_service_is_told_to_the_privacy_officer(stack: Arc<TestStack>) {
        let (patient, billing) = (ServiceName::PatientService, ServiceName::BillingService);
        some_calls(&stack).await;
        let sound = told(&stack, "").await;
        // What was asked for is written down by whoever is asked, after that.
        assert_eq!(sound["sound"], true, "{sound}");
        assert_eq!((sound["services"].as_array().unwrap().len(), of(&sound, patient)["verdict"].as_str()), (7, Some("Sound")));
        // One that nobody has called yet; by and by it is told of who treats whom, and has that in its audit.
        assert!(verdicts(&sound).iter().all(|(service, verdict)| (service.as_str(), verdict.as_str()) == ("notification-service", "Empty")), "{sound}");

        tamper(&stack, patient, "update audit set outcome = 'refused' where seq = 2 and chain = (select min(chain) from audit where seq = 2)").await;
        tamper(&stack, billing, "alter table audit_checkpoint rename to audit_checkpoint_away").await;
        for query in ["", "?from=2026-01-01T00:00:00Z"] {
            let told = told(&stack, query).await;
            assert_eq!(told["sound"], false);
            let expected = [("patient-service", "Flawed"), ("billing-service", "Unanswered")];
            let expected = expected.map(|(service, verdict)| (service.to_owned(), verdict.to_owned()));
            let mut seen = verdicts(&told);
            seen.retain(|(_, verdict)| verdict != "Empty");
            seen.sort_by(|one, other| other.cmp(one));
            assert_eq!(seen, expected, "{query}");
            let found = of(&told, patient);
            assert_eq!((&found["faults"][0]["seq"], &found["faults"][0]["flaw"]), (&json!(2), &json!("Altered")));
            assert_eq!(found["faultyChains"], 1);
        }
        // Nothing of it was written then.
        let later = told(&stack, "?from=2026-02-01T00:00:00Z").await;
        assert!(of(&later, ServiceName::ProviderService)["verdict"] == "Sound", "{later}");
        for (role, query, status) in [(Role::Clinician, "", 403), (Role::PrivacyOfficer, "?from=soon", 400), (Role::PrivacyOfficer, "?all=1", 400)] {
            let path = format!("/api/audit/verification{query}");
            let _ = stack.call(ServiceName::AuthService, role, Method::GET, &path, None).await.expect(status);
        }
    }

    async fn an_entry_that_cannot_be_read_keeps_no_other_from_being_read(stack: Arc<TestStack>) {
        some_calls(&stack).await;
        let read = async |path: &'static str| {
            let read = stack.call(ServiceName::AuthService, Role::PrivacyOfficer, Method::GET, path, None).await;
            read.expect(200).json()["items"].as_array().unwrap().clone()
        };
        let count = read("/api/audit?limit=200&userId=usr_caller").await.len();
        let accesses = read("/api/patients/12345/accesses?limit=200").await.len();
        tamper(&stack, ServiceName::PatientService, "update audit set body = mac where operation = 'register_patient' and seq = 1").await;
        let seen = read("/api/audit?limit=200&userId=usr_caller").await;
        let damaged: Vec<_> = seen.iter().filter(|event| event.get("damage").is_some()).collect();
        assert_eq!((seen.len(), damaged.len()), (count, 1));
        let (event, service) = (damaged[0], "patient-service");
        assert_eq!((event["damage"].as_str(), event["service"].as_str()), (Some("Unreadable"), Some(service)));
        assert_eq!((event["seq"].as_i64(), event["operation"].as_str()), (Some(1), Some("register_patient")));
        // The patient is not told less either.
        assert!(read("/api/patients/12345/accesses?limit=200").await.len() >= accesses);
    }

    async fn what_was_done_to_a_user_is_found_by_the_user(stack: Arc<TestStack>) {
        let auth = ServiceName::AuthService;
        let body = r#"{"username": "jane.roe", "password": "a long enough pass phrase", "roles": ["clinician"]}"#;
        let created = stack.call(auth, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(201).json();
        let id = created["userId"].as_str().unwrap();
        let _ = stack.call(auth, Role::Admin, Method::PUT, &format!("/api/auth/users/{id}"), Some(r#"{"roles": ["admin"]}"#)).await.expect(200);
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let _ = stack.call(auth, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        let path = format!("/api/audit?target=user:{id}&limit=200");
        let found = stack.call(auth, Role::PrivacyOfficer, Method::GET, &path, None).await.expect(200).json();
        let mut operations: Vec<_> = found["items"].as_array().unwrap().iter().map(|event| {
            assert_eq!(event["targets"], json!([{"kind": "user", "id": id}]));
            (event["userId"].as_str().unwrap(), event["operation"].as_str().unwrap())
        }).collect();
        operations.sort_unstable();
        let expected = ["create_user", "update_user", "user_by_id"].map(|operation| ("usr_admin", operation));
        assert_eq!(operations, expected);
    }

    async fn a_patient_sees_who_asked_for_them_and_was_shown_nothing(stack: Arc<TestStack>) {
        some_calls(&stack).await;
        let path = "/api/bills?patientId=12345";
        let shown = stack.call(ServiceName::BillingService, Who::patient("p9"), Method::GET, path, None).await.expect(200);
        assert_eq!(shown.json()["items"], json!([]));
        let _ = stack.call(ServiceName::BillingService, Role::Billing, Method::GET, path, None).await.expect(200);
        let path = "/api/patients/12345/accesses?limit=200";
        let own = stack.call(ServiceName::AuthService, Who::patient(PATIENT), Method::GET, path, None).await.expect(200).json();
        let asked = |who: &str| {
            let mut all = own["items"].as_array().unwrap().iter();
            all.find(|access| access["operation"] == "list_bills" && access["who"] == who).unwrap()["onlyAsked"].clone()
        };
        assert_eq!((asked("usr_patient"), asked("usr_billing")), (json!(true), Value::Null));
    }
}
