//! What notifications of appointments say.

use serde_json::json;

use super::reminders::{STARTS, clinic, tell};
use super::*;

const REMINDER: &str = "/api/notifications/templates/reminder/en";

async fn put(stack: &Arc<TestStack>, body: &Value) -> Reply {
    call(stack, Role::Admin, Method::PUT, REMINDER, Some(&body.to_string())).await
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn an_administrator_has_reminders_say_something_else_until_it_is_taken_back(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let built_in = get(&stack, REMINDER).await.expect(200);
        assert_eq!(built_in.json()["builtIn"], true);
        assert_eq!(get(&stack, "/api/notifications/templates").await.expect(200).json()["items"].as_array().unwrap().len(), 24);

        let own = json!({"subject": "See you", "text": "{{ date }}, {{ time }}{% if provider %}, {{ provider }}{% endif %}: {{ minutes }} minutes"});
        let preview = call(&stack, Role::Admin, Method::POST, &format!("{REMINDER}/preview"), Some(&own.to_string())).await.expect(200);
        let says = "Tuesday, January 20, 2026, 10:00 AM, Dr. Jane Doe: 30 minutes";
        assert_eq!(preview.json(), json!({"subject": "See you", "text": says}));
        assert_eq!(get(&stack, REMINDER).await.text, built_in.text);

        let _ = put(&stack, &own).await.expect(200);
        assert_eq!(get(&stack, REMINDER).await.expect(200).json()["text"], own["text"]);
        stack.database(ServiceName::NotificationService).no_file_holds(&["see you"]);
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let planned = listed(&stack, "status=Scheduled&to=johndoe@example.com").await;
        assert_eq!((&planned[0]["subject"], &planned[0]["body"]), (&json!("See you"), &json!(says)));

        for _ in 0..2 {
            let _ = call(&stack, Role::Admin, Method::DELETE, REMINDER, None).await.expect(200);
        }
        assert_eq!(get(&stack, REMINDER).await.text, built_in.text);
    }

    async fn what_cannot_be_rendered_is_refused_by_name(stack: Arc<TestStack>) {
        let refused = put(&stack, &json!({"subject": "Hello", "text": "{{ diagnosis }}"})).await.expect(422);
        assert_eq!(refused.faults(), ["text"]);
        assert!(refused.text.contains("names diagnosis"), "{}", refused.text);
        for (subject, text, field) in [
            ("{{ name }}", "x", "subject"), ("a\nb", "x", "subject"), ("Hello", "{% for a in date %}x{% endfor %}", "text"),
            ("Hello", "{{ date", "text"), ("Hello", "{{ 'x' * 99999999999 }}", "text"), ("Hello", "", "text"),
        ] {
            assert_eq!(put(&stack, &json!({"subject": subject, "text": text})).await.expect(422).faults(), [field], "{text}");
        }
        let good = json!({"subject": "Hello", "text": "x"}).to_string();
        for path in ["message/en", "reminder/tlh", "nothing/en"] {
            let path = format!("/api/notifications/templates/{path}");
            let _ = get(&stack, &path).await.expect(404);
            let _ = call(&stack, Role::Admin, Method::PUT, &path, Some(&good)).await.expect(404);
        }
        let _ = call(&stack, Role::Receptionist, Method::PUT, REMINDER, Some(&good)).await.expect(403);
        assert_eq!(get(&stack, REMINDER).await.json()["builtIn"], true);
    }
}
