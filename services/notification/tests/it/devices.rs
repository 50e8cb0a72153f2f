//! Devices: whose they are, who sees them, and that they go with whose they are.

use serde_json::json;

use super::*;

const PATH: &str = "/api/notifications/devices";

async fn register(stack: &Arc<TestStack>, who: &Who, body: Value) -> Reply {
    call(stack, who.clone(), Method::POST, PATH, Some(&body.to_string())).await
}

async fn count(stack: &Arc<TestStack>, who: &Who, query: &str) -> usize {
    let list = call(stack, who.clone(), Method::GET, &format!("{PATH}{query}"), None).await.expect(200);
    list.json()["items"].as_array().unwrap().len()
}

testkit::stack_tests! { services = [notification::SERVICE];
    async fn a_patient_has_their_own_devices_and_sees_no_others(stack: Arc<TestStack>) {
        let (own, other) = (Who::patient("12345"), Who::patient("67890"));
        let made = register(&stack, &own, json!({"token": "canary-token", "label": "my phone"})).await.expect(201);
        assert_eq!((&made.json()["kind"], &made.json()["label"], &made.json()["patientId"]), (&"Phone".into(), &"my phone".into(), &"12345".into()));
        assert!(!made.text.contains("canary-token"));
        assert_eq!((count(&stack, &own, "").await, count(&stack, &other, "").await), (1, 0));
        let path = format!("{PATH}/{}", made.json()["deviceId"].as_str().unwrap());
        let _ = call(&stack, other.clone(), Method::DELETE, &path, None).await.expect(404);
        let refused = call(&stack, other.clone(), Method::GET, &format!("{PATH}?patientId=12345"), None).await;
        assert_eq!(refused.expect(422).faults(), ["patientId"]);
        assert_eq!(register(&stack, &other, json!({"token": "x", "patientId": "12345"})).await.expect(422).faults(), ["patientId"]);
        // The front desk looks after them.
        assert_eq!(count(&stack, &Role::Receptionist.into(), "?patientId=12345").await, 1);
        assert_eq!(call(&stack, own.clone(), Method::DELETE, &path, None).await.expect(200).json()["status"], "Removed");
        assert_eq!(count(&stack, &own, "").await, 0);
    }

    async fn of_many_who_register_one_device_at_once_one_has_it(stack: Arc<TestStack>) {
        let people: Vec<_> = (0..8).map(|n| Who::patient(&format!("p{n}"))).collect();
        for _ in 0..3 {
            let tasks: Vec<_> = people
                .iter()
                .map(|who| {
                    let (stack, who) = (Arc::clone(&stack), who.clone());
                    tokio::spawn(async move { register(&stack, &who, json!({"token": "shared"})).await.status })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 201);
            }
        }
        let mut devices = 0;
        for who in &people {
            devices += count(&stack, who, "").await;
        }
        assert_eq!(devices, 1);
    }

    async fn a_user_has_no_more_devices_however_many_register_at_once(stack: Arc<TestStack>) {
        let desk = Who::from(Role::Receptionist);
        let tasks: Vec<_> = (0..30)
            .map(|n| {
                let (stack, desk) = (Arc::clone(&stack), desk.clone());
                tokio::spawn(async move { register(&stack, &desk, json!({"token": format!("t{n}")})).await.status })
            })
            .collect();
        for task in tasks {
            assert!(matches!(task.await.unwrap(), 201 | 409));
        }
        assert_eq!(count(&stack, &desk, "").await, 20);
    }

    async fn whoever_registers_a_device_last_has_it(stack: Arc<TestStack>) {
        let (first, second) = (Who::patient("12345"), Who::from(Role::Clinician));
        let _ = register(&stack, &first, json!({"token": "shared"})).await.expect(201);
        let made = register(&stack, &second, json!({"token": "shared"})).await.expect(201);
        assert_eq!(made.json()["userId"], "usr_clinician");
        assert_eq!((count(&stack, &first, "").await, count(&stack, &second, "").await), (0, 1));
    }

    async fn devices_are_few_and_either_a_phone_or_a_browser(stack: Arc<TestStack>) {
        let own = Who::patient("12345");
        for at in 0..20 {
            let _ = register(&stack, &own, json!({"token": format!("t{at}")})).await.expect(201);
        }
        assert_eq!(register(&stack, &own, json!({"token": "t20"})).await.expect(409).json()["code"], "invalid-transition");
        assert_eq!(register(&stack, &own, json!({})).await.expect(422).faults(), ["token"]);
    }

    async fn an_erased_patients_devices_are_gone(stack: Arc<TestStack>) {
        let own = Who::patient("12345");
        let _ = register(&stack, &own, json!({"token": "t"})).await.expect(201);
        let erased = json!({"id": "evt_1", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}});
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&erased.to_string())).await.expect(200);
        assert_eq!(count(&stack, &own, "").await, 0);
        assert_eq!(register(&stack, &own, json!({"token": "t"})).await.expect(422).faults(), ["patientId"]);
    }
}
