//! What is not valid is refused by name, and nothing is sent or kept.

use super::*;

testkit::stack_tests! { services = [notification::SERVICE];
    async fn each_bad_notification_is_refused_and_nothing_is_kept(stack: Arc<TestStack>) {
        let long = "x".repeat(10_240);
        for (channel, body, from, to, field) in [
            ("email", MAIL, "johndoe@example.com", "johndoe", "to"),
            ("email", MAIL, "johndoe@example.com", "a@example.com,b@example.com", "to"),
            ("email", MAIL, "johndoe@example.com", "a@example.com\\r\\nBcc: b@example.com", "to"),
            ("email", MAIL, "Appointment Reminder", "", "subject"),
            ("email", MAIL, "Appointment Reminder", "Hello\\r\\nBcc: b@example.com", "subject"),
            ("email", MAIL, "Appointment Reminder", &long, "subject"),
            ("email", MAIL, "This is", "\\u0000", "body"),
            ("email", MAIL, "\"subject\"", "\"title\": 1, \"subject\"", "title"),
            ("email", MAIL, "\"subject\"", "\"patientId\": \"a b\", \"subject\"", "patientId"),
            ("email", MAIL, "\"subject\": \"Appointment Reminder\",", "", "subject"),
            ("sms", SMS, "+1234567890", "12345678", "to"),
            ("sms", SMS, "\"message\": \"", &format!("\"message\": \"{long}"), "message"),
            ("sms", SMS, "\"+1234567890\"", "1234567890", "to"),
            ("push", PUSH, "deviceToken123", "", "to"),
            ("push", PUSH, "deviceToken123", "device token", "to"),
            ("push", PUSH, "Appointment Reminder", "a\\nb", "title"),
        ] {
            let body = body.replacen(from, to, 1);
            let refused = send(&stack, channel, &body).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        for body in ["", "{", "[]"] {
            let refused = send(&stack, "email", body).await;
            assert!(matches!(refused.status, 400 | 422), "{}", refused.text);
        }
        assert!(listed(&stack, "").await.is_empty());
    }

    async fn no_person_delivers_events(stack: Arc<TestStack>) {
        let _ = call(&stack, Role::Admin, Method::POST, "/internal/events", Some("{}")).await.expect(403);
    }
}
