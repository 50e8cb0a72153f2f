//! Minimum necessary: who writes bills is told when somebody came, and not why.

use super::*;

const WHY: &str = "a swollen knee";

async fn seen(stack: &Arc<TestStack>, who: impl Into<Who>, path: &str) -> Reply {
    call(stack, who, Method::GET, path, None).await.expect(200)
}

async fn booked_with_a_reason(stack: &Arc<TestStack>) {
    clinic(stack).await;
    let mut body = at("apt1", "12345", "prov001", "09:00");
    body["reason"] = json!(WHY);
    let _ = book(stack, Role::Receptionist, &body).await.expect(201);
    let _ =
        put(stack, Who::clinician("prov001"), "apt1", &json!({"reason": format!("{WHY}, and a stiff one")}))
            .await
            .expect(200);
    let _ = put(stack, Role::Receptionist, "apt1", &json!({"timeSlot": "10:00"})).await.expect(200);
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn billing_is_not_told_why_a_patient_comes(stack: Arc<TestStack>) {
        booked_with_a_reason(&stack).await;
        for path in [
            "/api/appointments/apt1", "/api/appointments", "/api/appointments?patientId=12345&providerId=prov001",
            "/api/appointments/apt1/history", "/api/appointments/apt1/history?limit=1",
        ] {
            let text = seen(&stack, Role::Billing, path).await.text;
            assert!(text.contains("apt1") || text.contains("Created"), "{path}: {text}");
            assert!(!text.contains("reason") && !text.contains("knee"), "{path}: {text}");
        }
        assert_eq!(seen(&stack, Role::Billing, "/api/appointments/apt1").await.header("etag"), "\"v3-necessary\"");
    }

    async fn that_there_was_a_change_is_told_all_the_same(stack: Arc<TestStack>) {
        booked_with_a_reason(&stack).await;
        let history = seen(&stack, Role::Billing, "/api/appointments/apt1/history").await.json();
        let told: Vec<_> = history["items"].as_array().unwrap().iter()
            .map(|item| (item["version"].as_i64().unwrap(), item["changes"].as_array().unwrap().len()))
            .collect();
        assert_eq!(told, [(1, 7), (2, 0), (3, 2)]);
    }

    async fn who_books_treats_or_is_the_patient_is_told(stack: Arc<TestStack>) {
        booked_with_a_reason(&stack).await;
        for who in [Role::Admin.into(), Who::clinician("prov001"), Role::Receptionist.into(), Who::patient("12345")] {
            for path in ["/api/appointments/apt1", "/api/appointments", "/api/appointments/apt1/history"] {
                let text = seen(&stack, who.clone(), path).await.text;
                assert!(text.contains(WHY), "{who:?} {path}: {text}");
            }
        }
        assert_eq!(seen(&stack, Who::clinician("prov001"), "/api/appointments/apt1").await.header("etag"), "\"v3\"");
    }
}
