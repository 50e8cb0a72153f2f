//! The service with a transit engine that keeps its key-encryption key, and without it for a while.

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use serde_json::{Value, json};
use settings::{Encryption, KekProvider, ServiceName};
use testkit::stack::send;
use testkit::{Reply, TestStack, TransitServer};

const SERVICE: ServiceName = ServiceName::PatientService;

async fn call(stack: &TestStack, method: Method, path: &str, body: Option<Value>) -> Reply {
    let body = body.map(|body| body.to_string());
    stack.call(SERVICE, Role::Admin, method, path, body.as_deref()).await
}

async fn register(stack: &TestStack, name: &str) -> Reply {
    call(
        stack,
        Method::POST,
        "/api/patients",
        Some(json!({"name": name, "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}})),
    )
    .await
}

async fn an_outage_keeps_new_patients_waiting_and_nobody_else(
    stack: Arc<TestStack>,
    mut server: TransitServer,
) {
    // Put there after the start, as whoever renews tokens does.
    stack.secret(SERVICE, "transit", "token", server.token().await.as_bytes());
    let registered = register(&stack, "Ann Lee").await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    let told =
        stack.call(SERVICE, Role::Service, Method::GET, "/internal/keys", None).await.expect(200).json();
    assert_eq!((&told["provider"], &told["current"]), (&json!("Transit"), &json!("transit/clinic:v1")));
    assert!(told["keys"].as_array().unwrap().iter().any(|key| key["kekId"] == "transit/clinic:v1"), "{told}");

    server.kill();
    stack.clock.advance(chrono::TimeDelta::minutes(10));
    let read = call(&stack, Method::GET, &path, None).await.expect(200).json();
    assert_eq!(read["name"], "Ann Lee");
    let found = call(&stack, Method::GET, "/api/patients?name=ann", None).await.expect(200).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let _ = call(&stack, Method::PUT, &path, Some(json!({"name": "Ann Leigh"}))).await.expect(200);
    let refused = register(&stack, "Bob Ray").await.expect(503);
    assert_eq!(refused.json()["code"], "unavailable");
    assert!(!refused.text.contains("vault") && !refused.text.contains("127.0.0.1"), "{}", refused.text);
    // It takes requests: whoever balances load is not to send them elsewhere.
    let _ = send(stack.request(SERVICE, Method::GET, "/readyz")).await.expect(200);

    server.run().await;
    let mut tries = 0;
    while register(&stack, "Bob Ray").await.status != 201 {
        tries += 1;
        assert!(tries < 100, "it is not asked again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // What was refused has left nothing behind.
    let found = call(&stack, Method::GET, "/api/patients?name=bob", None).await.expect(200).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

fn run(engine: db::Engine) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(TransitServer::start("clinic"));
    let settings = server.settings();
    let change = move |told: &mut settings::ServiceSettings| {
        told.encryption = Encryption { provider: KekProvider::Transit, transit: Some(settings.clone()) };
    };
    let test = |stack| an_outage_keeps_new_patients_waiting_and_nobody_else(stack, server);
    testkit::stack::run_with(engine, &[patient::SERVICE], change, test);
}

#[test]
fn an_outage_of_the_engine_keeps_new_patients_waiting_and_nobody_else_on_sqlite() {
    run(db::Engine::Sqlite);
}

#[test]
fn an_outage_of_the_engine_keeps_new_patients_waiting_and_nobody_else_on_postgresql() {
    run(db::Engine::Postgres);
}
