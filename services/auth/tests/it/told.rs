//! What others are told of users: whose devices go when they do.

use std::time::Duration;

use super::*;

const DEVICES: &str = "/api/notifications/devices";

/// Registers a device as a user who is a provider.
async fn register(stack: &Arc<TestStack>, user: &str) {
    let who = Who { user: user.to_owned(), ..Who::clinician("prov001") };
    let (service, body) =
        (ServiceName::NotificationService, json!({"token": format!("of-{user}")}).to_string());
    let _ = stack.call(service, who, Method::POST, DEVICES, Some(&body)).await.expect(201);
}

async fn devices(stack: &Arc<TestStack>, user: &str) -> usize {
    let (service, path) = (ServiceName::NotificationService, format!("{DEVICES}?userId={user}"));
    let list = stack.call(service, Role::Admin, Method::GET, &path, None).await.expect(200);
    list.json()["items"].as_array().unwrap().len()
}

async fn until_none(stack: &Arc<TestStack>, user: &str) {
    for _ in 0..2_400 {
        if devices(stack, user).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{user} still has devices");
}

testkit::stack_tests! { services = [auth::SERVICE, patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn who_is_deleted_or_disabled_has_no_devices_any_more(stack: Arc<TestStack>) {
        for name in ["jane", "june", "joan"] {
            let _ = create(&stack, name, &["clinician"]).await;
            register(&stack, &id_of(&stack, name).await).await;
        }
        let [jane, june, joan] = [id_of(&stack, "jane").await, id_of(&stack, "june").await, id_of(&stack, "joan").await];
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{jane}"), None).await.expect(200);
        until_none(&stack, &jane).await;
        let _ = change(&stack, &june, json!({"status": "Disabled"})).await.expect(200);
        until_none(&stack, &june).await;
        assert_eq!(devices(&stack, &joan).await, 1);
    }
}
