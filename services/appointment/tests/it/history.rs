//! Who changed what, and when.

use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn each_change_is_told_oldest_first(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Receptionist, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::minutes(5));
        let _ = put(&stack, Who { user: "usr_john".to_owned(), ..Who::patient("12345") }, "apt1", &json!({"timeSlot": "10:00"})).await.expect(200);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:00"})).await.expect(200);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"reason": "knee"})).await.expect(200);
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = cancel(&stack, "apt1").await.expect(200);

        let history = call(&stack, Who::clinician("prov001"), Method::GET, "/api/appointments/apt1/history", None).await.expect(200).json();
        let told: Vec<_> = history["items"].as_array().unwrap().iter()
            .map(|item| format!("{} {} {}", item["version"], item["action"].as_str().unwrap(), item["by"].as_str().unwrap()))
            .collect();
        assert_eq!(told, ["1 Created usr_receptionist", "2 Rescheduled usr_john", "3 Updated usr_admin", "4 Cancelled usr_admin"]);
        assert_eq!(history["items"][0]["at"], "2026-01-15T09:00:00.000Z");
        assert_eq!(history["items"][1]["at"], "2026-01-15T09:05:00.000Z");
        assert_eq!(history["items"][1]["changes"], json!([
            {"field": "timeSlot", "from": "09:00", "to": "10:00"},
            {"field": "status", "from": "Scheduled", "to": "Rescheduled"},
        ]));
        assert_eq!(history["items"][2]["changes"], json!([{"field": "reason", "from": null, "to": "knee"}]));
    }

    async fn a_long_history_comes_in_pages(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        for change in 0..6 {
            let _ = put(&stack, Role::Admin, "apt1", &json!({"reason": format!("reason {change}")})).await.expect(200);
        }
        let (mut versions, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/appointments/apt1/history?limit=3{cursor}");
            let page = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
            versions.extend(page["items"].as_array().unwrap().iter().map(|item| item["version"].as_i64().unwrap()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
        let _ = call(&stack, Role::Admin, Method::GET, "/api/appointments/other/history", None).await.expect(404);
    }
}
