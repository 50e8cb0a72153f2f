//! Users who are patients or providers, and what becomes of them when those are gone.

use super::*;

async fn patient(stack: &Arc<TestStack>, id: &str) {
    let body = json!({
        "patientId": id, "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"},
        "medicalHistory": {"allergies": [], "chronicConditions": []}
    });
    let body = body.to_string();
    let _ = stack
        .call(ServiceName::PatientService, Role::Admin, Method::POST, "/api/patients", Some(&body))
        .await
        .expect(201);
}

async fn provider(stack: &Arc<TestStack>, id: &str) {
    let body = json!({
        "providerId": id, "name": "Dr. Jane Smith", "specialization": "Cardiology",
        "contactInfo": {"phone": "+0987654321", "email": "janesmith@example.com"}
    });
    let body = body.to_string();
    let _ = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::POST, "/api/providers", Some(&body))
        .await
        .expect(201);
}

async fn try_create(stack: &Arc<TestStack>, username: &str, roles: &[&str], ties: Value) -> Reply {
    let mut body = json!({"username": username, "password": PASSWORD, "roles": roles});
    body.as_object_mut().unwrap().extend(ties.as_object().cloned().unwrap());
    call(stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await
}

async fn deliver(stack: &Arc<TestStack>, event: &str, kind: &str, data: Value) -> Reply {
    let body = json!({"id": event, "occurredAt": "2026-01-15T09:00:00Z", "type": kind, "data": data});
    call(stack, Role::Service, Method::POST, "/internal/events", Some(body)).await
}

testkit::stack_tests! { services = [auth::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_tie_must_lead_to_somebody_and_stands_in_the_token(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        provider(&stack, "prov001").await;
        let refused = try_create(&stack, "john", &["patient"], json!({"patientId": "67890", "providerId": "none"})).await.expect(422);
        assert_eq!(refused.faults(), ["patientId", "providerId"]);
        let _ = try_create(&stack, "john", &["patient"], json!({"patientId": "12345"})).await.expect(201);
        let _ = try_create(&stack, "jane", &["clinician"], json!({"providerId": "prov001"})).await.expect(201);
        for (name, tie, id) in [("john", "patientId", "12345"), ("jane", "providerId", "prov001")] {
            let tokens = login(&stack, name, PASSWORD).await;
            let me = call_with(&stack, &tokens.access, Method::GET, "/api/auth/me", None).await.expect(200).json();
            assert_eq!(me[tie], id);
        }
        let john = id_of(&stack, "john").await;
        let refused = change(&stack, &john, json!({"patientId": "67890"})).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
        let refused = change(&stack, &john, json!({"patientId": null})).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
    }

    async fn a_new_tie_ends_sessions(stack: Arc<TestStack>) {
        provider(&stack, "prov001").await;
        let id = create(&stack, "jane", &["clinician"]).await;
        let tokens = login(&stack, "jane", PASSWORD).await;
        let _ = change(&stack, &id, json!({"providerId": "prov001"})).await.expect(200);
        assert!(!is_good(&stack, &tokens.access).await);
        let _ = change(&stack, &id, json!({"providerId": null})).await.expect(200);
        let read = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(read.json()["providerId"], Value::Null);
    }

    async fn an_erased_patients_account_is_closed(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        let _ = try_create(&stack, "john", &["patient"], json!({"patientId": "12345"})).await.expect(201);
        let _ = try_create(&stack, "both", &["patient", "clinician"], json!({"patientId": "12345"})).await.expect(201);
        let (john, both) = (login(&stack, "john", PASSWORD).await, login(&stack, "both", PASSWORD).await);
        let erased = || deliver(&stack, "evt_1", "patient.erased.v1", json!({"patientId": "12345"}));
        assert_eq!(erased().await.expect(200).text, r#"{"firstTime":true}"#);
        assert_eq!(erased().await.expect(200).text, r#"{"firstTime":false}"#);
        assert!(!is_good(&stack, &john.access).await && !is_good(&stack, &both.access).await);
        let shown = async |name: &str| {
            let path = format!("/api/auth/users/{}", id_of(&stack, name).await);
            let user = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
            (user["status"].clone(), user["roles"].clone(), user["patientId"].clone())
        };
        assert_eq!(shown("john").await, ("Disabled".into(), json!(["patient"]), Value::Null));
        assert_eq!(shown("both").await, ("Active".into(), json!(["clinician"]), Value::Null));
        let _ = try_login(&stack, "john", PASSWORD).await.expect(401);
    }

    async fn a_removed_providers_user_loses_the_tie(stack: Arc<TestStack>) {
        provider(&stack, "prov001").await;
        let _ = try_create(&stack, "jane", &["clinician"], json!({"providerId": "prov001"})).await.expect(201);
        let tokens = login(&stack, "jane", PASSWORD).await;
        let _ = deliver(&stack, "evt_1", "provider.removed.v1", json!({"providerId": "prov001"})).await.expect(200);
        assert!(!is_good(&stack, &tokens.access).await);
        let tokens = login(&stack, "jane", PASSWORD).await;
        let me = call_with(&stack, &tokens.access, Method::GET, "/api/auth/me", None).await.expect(200).json();
        assert_eq!(me["providerId"], Value::Null);
    }

    async fn a_deleted_patients_event_comes_by_itself(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        let _ = try_create(&stack, "john", &["patient"], json!({"patientId": "12345"})).await.expect(201);
        let tokens = login(&stack, "john", PASSWORD).await;
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        for _ in 0..100 {
            if !is_good(&stack, &tokens.access).await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the account was not closed");
    }
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn while_nobody_can_say_whether_a_patient_exists_nobody_is_tied_to_one(stack: Arc<TestStack>) {
        let refused = try_create(&stack, "john", &["patient"], json!({"patientId": "12345"})).await.expect(503);
        assert_eq!(refused.json()["code"], "unavailable");
        let list = call(&stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }
}
