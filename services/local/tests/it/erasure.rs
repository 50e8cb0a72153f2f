//! What became of a patient's data when they were deleted: each service says what it did away with, and what it keeps, why and until when.

use std::sync::Arc;
use std::time::Duration;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::TestStack;
use testkit::patients::{PATIENTS, register};

use crate::export::{plant, provider};

const PATH: &str = "/api/patients/12345/erasure";

async fn report(stack: &TestStack) -> Value {
    stack
        .call(ServiceName::PatientService, Role::PrivacyOfficer, Method::GET, PATH, None)
        .await
        .expect(200)
        .json()
}

/// The report, once every service has done its part.
async fn completed(stack: &TestStack) -> Value {
    for _ in 0..200 {
        let report = report(stack).await;
        if report["status"] == "Completed" {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is never done: {}", report(stack).await);
}

/// Of each service: what it did away with, and what it keeps.
fn summary(report: &Value) -> Value {
    let counts = |kinds: &Value| -> Value {
        kinds
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| (kind["kind"].as_str().unwrap().to_owned(), kind["count"].clone()))
            .collect()
    };
    let services = report["services"].as_array().unwrap();
    services
        .iter()
        .map(|service| {
            let mut kept = counts(&service["kept"]);
            // How many look at whose it was is not what is counted here.
            assert!(kept["audit"].as_u64() > Some(0), "{service}");
            kept.as_object_mut().unwrap().remove("audit");
            (service["service"].as_str().unwrap().to_owned(), json!([counts(&service["shredded"]), kept]))
        })
        .collect()
}

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn what_was_done_away_with_is_told_and_what_is_kept_why_and_until_when(stack: Arc<TestStack>) {
        provider(&stack).await;
        let _ = plant(&stack, "12345", "mine", "10:00").await;
        let _ = plant(&stack, "67890", "theirs", "11:00").await;
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let report = completed(&stack).await;
        assert_eq!(summary(&report), json!({
            "patient-service": [{"patient": 1, "care-team": 1}, {}],
            "appointment-service": [{"appointments": 1, "history": 2}, {}],
            "billing-service": [{}, {"bills": 1}],
            "medical-records-service": [{"records": 1}, {"break-glass": 1}],
            "notification-service": [{"notifications": 7}, {}],
            "auth-service": [{"account-ties": 1}, {}],
        }));
        for service in report["services"].as_array().unwrap() {
            assert_eq!(service["status"], "Completed");
            assert!(service["erasedAt"].is_string() && service["keyDestroyedAt"].is_string(), "{service}");
            for kept in service["kept"].as_array().unwrap() {
                assert!(kept["why"].as_str().unwrap().len() > 20, "{kept}");
            }
        }
        // It is a month's key, of which the last day is six years later.
        let audit = &report["services"][0]["kept"][0];
        assert_eq!((&audit["kind"], &audit["until"]), (&json!("audit"), &json!("2032-02-06T00:00:00Z")));
        // Told again, it is not counted again.
        assert!(testkit::patients::tell_erased(&stack, ServiceName::MedicalRecordsService, "evt_again", "12345").await);
        assert_eq!(summary(&completed(&stack).await), summary(&report));
    }

    async fn of_whom_nobody_deleted_there_is_nothing_to_tell(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for id in ["12345", "nobody"] {
            let path = format!("/api/patients/{id}/erasure");
            let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::GET, &path, None).await.expect(404);
        }
    }

    async fn who_was_not_told_yet_has_not_done_it(stack: Arc<TestStack>) {
        let path = "/internal/erasure/12345";
        for service in contracts::export::HOLDERS {
            let told = stack.call(service, Role::Service, Method::GET, path, None).await.expect(200).json();
            assert_eq!((&told["status"], &told["shredded"]), (&json!("Pending"), &json!([])), "{service}");
        }
    }
}
