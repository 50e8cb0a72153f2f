//! What became of a deleted patient's data, while not every service says so.

use serde_json::{Value, json};

use super::*;

async fn report(stack: &TestStack) -> Value {
    let path = "/api/patients/12345/erasure";
    stack
        .call(ServiceName::PatientService, Role::PrivacyOfficer, Method::GET, path, None)
        .await
        .expect(200)
        .json()
}

fn statuses(report: &Value) -> Vec<(&str, &str)> {
    let services = report["services"].as_array().unwrap();
    services
        .iter()
        .map(|told| (told["service"].as_str().unwrap(), told["status"].as_str().unwrap()))
        .collect()
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn a_service_that_does_not_answer_is_named_and_keeps_it_from_being_completed(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let report = report(&stack).await;
        assert_eq!(report["status"], "InProgress");
        assert_eq!(statuses(&report), [
            ("patient-service", "Completed"),
            ("appointment-service", "NoAnswer"),
            ("billing-service", "NoAnswer"),
            ("medical-records-service", "NoAnswer"),
            ("notification-service", "NoAnswer"),
            ("auth-service", "NoAnswer"),
        ]);
        assert_eq!(report["services"][0]["shredded"], json!([{"kind": "patient", "count": 1}]));
    }

    async fn what_was_taken_away_is_remembered_sealed(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let mut tx = stack.database(ServiceName::PatientService).db().begin().await.unwrap();
        let sql = "select report from erasure where patient = '12345'";
        let kept: Vec<u8> = db::on!(tx, |conn| sqlx::query_scalar(sql).fetch_one(conn).await).unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains("patient"));
    }
}
