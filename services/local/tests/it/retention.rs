//! What all services keep of a patient who was deleted: under a legal hold that was placed before or after, and until when.

use std::sync::Arc;
use std::time::Duration;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::{Value, json};
use settings::{ServiceName, ServiceSettings};
use testkit::TestStack;
use testkit::patients::PATIENTS;

use crate::export::{plant, provider};

const SERVICE: ServiceName = ServiceName::PatientService;
const TRIES: u32 = 400;

fn years(settings: &mut ServiceSettings) {
    settings.retention = settings::RetentionSettings {
        medical_records: 10,
        bills: Some(8),
        appointments: 1,
        notifications: 2,
    };
}

async fn ask(stack: &TestStack, method: Method, path: &str, body: Option<Value>) -> Value {
    let body = body.map(|body| body.to_string());
    stack.call(SERVICE, Role::PrivacyOfficer, method, path, body.as_deref()).await.expect(200).json()
}

async fn hold(stack: &TestStack, method: Method) {
    let body = (method == Method::PUT).then(|| json!({"reason": "Doe v. Clinic"}));
    let _ = ask(stack, method, "/api/patients/12345/hold", body).await;
}

/// Deletes the patient, and waits until every service has done its part.
async fn delete(stack: &TestStack) {
    let _ = PATIENTS.delete(stack, "12345").await.expect(200);
    for _ in 0..TRIES {
        if ask(stack, Method::GET, "/api/patients/12345/erasure", None).await["status"] == "Completed" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not every service has done its part");
}

/// Waits until the hold's end has come to so many services that have something to do away with, and gives what.
async fn until_over(stack: &TestStack, services: usize) -> Value {
    for _ in 0..TRIES {
        let over = gone(&run(stack, true).await);
        if over.as_object().unwrap().len() == services {
            return over;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not every service has heard of it");
}

/// All that is kept, page by page: kinds of what service, and the words in it.
async fn retained(stack: &TestStack) -> (Vec<String>, String) {
    let (mut kinds, mut text, mut cursor) = (Vec::new(), String::new(), String::new());
    loop {
        let page = ask(stack, Method::GET, &format!("/api/patients/12345/retained{cursor}"), None).await;
        for item in page["items"].as_array().unwrap() {
            kinds.push(format!("{}/{}", item["service"].as_str().unwrap(), item["kind"].as_str().unwrap()));
            text.push_str(&item["data"].to_string());
        }
        let Some(next) = page["nextCursor"].as_str() else { return (kinds, text) };
        cursor = format!("?cursor={next}");
    }
}

async fn run(stack: &TestStack, dry_run: bool) -> Value {
    let report = ask(stack, Method::POST, "/api/admin/retention", Some(json!({"dryRun": dry_run}))).await;
    assert_eq!(report["dryRun"], dry_run);
    report
}

/// Of each service: how many of what has had its time.
fn gone(report: &Value) -> Value {
    let services = report["services"].as_array().unwrap().iter();
    let part = |service: &Value| {
        assert_eq!(service["status"], "Done", "{service}");
        (service["service"].as_str().unwrap().to_owned(), service["shredded"].clone())
    };
    services.map(part).filter(|(_, shredded)| *shredded != json!([])).collect()
}

const EVERYTHING: [&str; 9] = [
    "patient-service/care-team",
    "patient-service/patient",
    "appointment-service/appointments",
    "appointment-service/history",
    "appointment-service/history",
    "medical-records-service/records",
    "notification-service/notifications",
    "notification-service/notifications",
    "notification-service/notifications",
];

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn what_is_deleted_as_soon_as_a_hold_is_placed_is_kept(stack: Arc<TestStack>) {
        provider(&stack).await;
        let _ = plant(&stack, "12345", "mine", "10:00").await;
        let records = |method, path: String| {
            let stack = Arc::clone(&stack);
            async move {
                stack.call(ServiceName::MedicalRecordsService, Role::Admin, method, &path, None).await.expect(200).json()
            }
        };
        let records_of = records(Method::GET, "/api/records?patientId=12345".to_owned()).await;
        let id = records_of["items"][0]["recordId"].as_str().unwrap().to_owned();
        hold(&stack, Method::PUT).await;
        let _ = records(Method::DELETE, format!("/api/records/{id}")).await;
        assert_eq!(retained(&stack).await.0, ["medical-records-service/records"]);
    }

    async fn who_is_deleted_under_a_hold_is_kept_whole_by_every_service_until_it_is_lifted(stack: Arc<TestStack>) {
        provider(&stack).await;
        let words = plant(&stack, "12345", "mine", "10:00").await;
        let _ = plant(&stack, "67890", "theirs", "11:00").await;
        hold(&stack, Method::PUT).await;
        delete(&stack).await;
        let (kinds, text) = retained(&stack).await;
        assert_eq!(kinds, EVERYTHING);
        assert!(words.iter().any(|word| text.contains(word)) && !text.contains("theirs"), "{text}");
        assert_eq!(gone(&run(&stack, true).await), json!({}));
        assert_eq!(gone(&run(&stack, false).await), json!({}));
        hold(&stack, Method::DELETE).await;
        // The event takes its time to get to each.
        let dry = until_over(&stack, 4).await;
        assert_eq!(retained(&stack).await.0, EVERYTHING, "a dry run changes nothing");
        assert_eq!(gone(&run(&stack, false).await), dry);
        assert_eq!(retained(&stack).await, (Vec::new(), String::new()));
        assert_eq!(gone(&run(&stack, false).await), json!({}));
    }
}

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ],
    settings = years;

    async fn each_kind_is_kept_for_its_own_years_and_the_report_says_until_when(stack: Arc<TestStack>) {
        provider(&stack).await;
        let _ = plant(&stack, "12345", "mine", "10:00").await;
        delete(&stack).await;
        let report = ask(&stack, Method::GET, "/api/patients/12345/erasure", None).await;
        let services = report["services"].as_array().unwrap().iter();
        let kept = services.flat_map(|service| service["kept"].as_array().unwrap()).filter(|kept| !matches!(kept["kind"].as_str(), Some("audit" | "break-glass")));
        let kept: Value = kept.map(|kept| json!([kept["kind"], kept["count"], kept["until"]])).collect();
        // The appointment is of 2030: its year is over with that one's.
        assert_eq!(kept, json!([
            ["appointments", 1, "2032-01-02T00:00:00Z"], ["history", 2, "2032-01-02T00:00:00Z"],
            ["bills", 1, "2035-01-02T00:00:00Z"], ["records", 1, "2037-01-02T00:00:00Z"], ["notifications", 3, "2029-01-02T00:00:00Z"],
        ]));
        // A hold that comes after stops what is over.
        hold(&stack, Method::PUT).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stack.clock.advance(chrono::TimeDelta::days(20 * 365));
        assert_eq!(gone(&run(&stack, false).await), json!({}));
        hold(&stack, Method::DELETE).await;
        let dry = until_over(&stack, 4).await;
        assert_eq!(dry["medical-records-service"], json!([{"kind": "records", "count": 1}]));
        assert_eq!(gone(&run(&stack, false).await), dry);
        assert_eq!(retained(&stack).await.0, [""; 0]);
    }
}
