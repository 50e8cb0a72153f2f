//! One operator for two namespaces, with a stack of the same name in each: they have nothing in common, and one goes without the other.

use std::time::Duration;

use cluster_tests::{Namespace, Operator, Traffic, eventually};
use serde_json::json;

const PATIENT: &str = r#"{"name": "Maria Beispiel", "dob": "1980-02-29",
    "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
    "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}}"#;
const GONE_IN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn stacks_of_one_name_in_two_namespaces_have_nothing_in_common_but_the_operator() {
    let (east, west) = (Namespace::restricted("east"), Namespace::restricted("west"));
    let operator = Operator::install_with("scope", &["--set=watch.namespaces={east,west}"]).await;
    let stack = operator.stack("clinic").small().with(json!({"deletionPolicy": "Delete"}));
    let (east, west) = (stack.clone().apply_in(east), stack.apply_in(west));
    east.settled().await;
    west.settled().await;

    let (here, there) = (east.admin().await, west.admin().await);
    let registered = here.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    let _ = there.call("GET", &path, None).await.expect(404);
    // Whom one has signed in, the other does not know.
    let _ = there.with_token(here.token().unwrap()).call("GET", &path, None).await.expect(401);
    assert_ne!(east.admin_password().await, west.admin_password().await);

    let (running, traffic) = (east.running().await, Traffic::start(&here, &path));
    west.namespace().kubectl(&["delete", "healthcarestack", "clinic", "--timeout=60s"]);
    eventually("nothing of the western one", GONE_IN, async || {
        let pods = west.running().await;
        if pods.is_empty() && west.objects().await.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    traffic.stop_unharmed();
    assert_eq!(east.running().await, running, "{}", east.story());
    east.kill("patient-service").await;
    eventually("the operator still looks after the eastern one", GONE_IN, async || {
        let now = east.running().await;
        if now != running && now.len() == running.len() { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    east.edit(json!({"spec": {"gateway": {"replicas": 2}}})).await;
    east.settled().await;
    assert_eq!(east.pods("api-gateway").await.len(), 2);
}
