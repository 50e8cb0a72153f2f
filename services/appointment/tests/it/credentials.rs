//! A provider whose credential has expired or was revoked takes no new bookings.

use super::*;

async fn credential(stack: &Arc<TestStack>, rest: &str, body: &Value) -> Value {
    let path = format!("/api/providers/prov001/credentials{rest}");
    let reply = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::POST, &path, Some(&body.to_string()))
        .await;
    assert!((200..300).contains(&reply.status), "{}", reply.text);
    reply.json()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn an_expired_credential_stops_new_bookings_of_everybody_and_nothing_else(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        let _ = credential(&stack, "", &json!({"kind": "license", "number": "MD-1234", "expiresOn": "2026-01-15"})).await;
        let _ = book(&stack, Role::Receptionist, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let free = async || {
            let range = "from=2026-01-19&to=2026-01-25";
            let with = stack.call(ServiceName::AppointmentService, Role::Receptionist, Method::GET, &format!("/api/providers/prov001/slots?{range}"), None).await;
            let next = stack.call(ServiceName::AppointmentService, Role::Receptionist, Method::GET, "/api/slots?from=2026-01-19", None).await;
            let next = next.expect(200).json();
            let of = |slot: &&Value| slot["providerId"] == "prov001";
            (with.expect(200).json()["items"].as_array().unwrap().len(), next["items"].as_array().unwrap().iter().filter(of).count())
        };
        let (before, next) = free().await;
        assert!(before > 0 && next == 1);
        stack.clock.advance(chrono::TimeDelta::days(1));
        // What nobody can book is not told as free.
        assert_eq!(free().await, (0, 0));
        for who in [Who::from(Role::Admin), Role::Receptionist.into(), Who::patient("12345")] {
            let refused = book(&stack, who, &at("apt2", "12345", "prov001", "11:00")).await.expect(409).json();
            assert_eq!(refused["code"], "provider-not-bookable");
        }
        // Why, staff are told.
        let why = book(&stack, Role::Receptionist, &at("apt2", "12345", "prov001", "11:00")).await.json();
        assert!(why["detail"].as_str().unwrap().contains("expired"), "{why}");
        let why = book(&stack, Who::patient("12345"), &at("apt2", "12345", "prov001", "11:00")).await.json();
        assert!(!why["detail"].as_str().unwrap().contains("expired"), "{why}");
        let _ = get(&stack, "apt2").await.expect(404);
        // What stands stays, and can be confirmed, moved to somebody else, and cancelled; not moved to another time with them.
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"status": "Confirmed"})).await.expect(200);
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"timeSlot": "11:00"})).await.expect(409);
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"providerId": "prov002"})).await.expect(200);
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"providerId": "prov001"})).await.expect(409);
        let _ = cancel(&stack, "apt1").await.expect(200);
    }

    async fn a_revoked_credential_stops_them_too_and_an_unverified_one_does_not(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let saved = credential(&stack, "", &json!({"kind": "license", "number": "MD-1234"})).await;
        let _ = book(&stack, Role::Receptionist, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let id = saved["credentialId"].as_str().unwrap();
        let _ = credential(&stack, &format!("/{id}/revoke"), &json!({"reason": "By the board."})).await;
        let refused = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "11:00")).await.expect(409).json();
        assert_eq!(refused["code"], "provider-not-bookable");
        let _ = get(&stack, "apt1").await.expect(200);
    }
}
