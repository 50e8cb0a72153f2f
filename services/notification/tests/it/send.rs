//! Sending without a way out: the capture box.

use super::*;

testkit::stack_tests! { services = [notification::SERVICE];
    async fn the_documents_notifications_are_sent_and_kept(stack: Arc<TestStack>) {
        for (channel, body, subject, text) in [
            ("email", MAIL, "subject", "body"), ("sms", SMS, "subject", "message"), ("push", PUSH, "title", "message"),
        ] {
            let path = format!("/api/notifications/{channel}");
            let sent = call(&stack, Role::Admin, Method::POST, &path, Some(body)).await.expect(201);
            let id = sent.json()["notificationId"].as_str().unwrap().to_owned();
            assert_eq!(sent.text, format!(r#"{{"status":"Sent","notificationId":"{id}"}}"#));
            assert_eq!(sent.header("location"), format!("/api/notifications/{id}"));

            let read = get(&stack, sent.header("location")).await.expect(200);
            assert_eq!(read.header("etag"), sent.header("etag"));
            let (read, given): (Value, Value) = (read.json(), serde_json::from_str(body).unwrap());
            assert_eq!(read["channel"].as_str().unwrap().to_lowercase(), channel);
            assert_eq!((&read["to"], &read["subject"], &read["body"]), (&given["to"], &given[subject], &given[text]));
            assert_eq!(read["status"], "Sent");
            assert_eq!((&read["createdAt"], &read["sentAt"]), (&"2026-01-15T09:00:00Z".into(), &"2026-01-15T09:00:00Z".into()));
            assert_eq!(read.get("error"), None);
        }
    }

    async fn a_repeated_post_with_the_same_key_sends_once(stack: Arc<TestStack>) {
        let post = |body: &str| {
            let request = stack
                .request(ServiceName::NotificationService, Method::POST, "/api/notifications/sms")
                .bearer_auth(stack.token(Role::Admin))
                .header("content-type", "application/json")
                .header("idempotency-key", "k-1")
                .body(body.to_owned());
            testkit::stack::send(request)
        };
        let first = post(SMS).await.expect(201);
        assert_eq!(post(SMS).await.expect(201).text, first.text);
        let _ = post(&SMS.replace("10:00", "11:00")).await.expect(422);
        assert_eq!(listed(&stack, "").await.len(), 1);
    }

    async fn a_patient_sees_nothing_of_the_box_and_sends_nothing(stack: Arc<TestStack>) {
        let sent = send(&stack, "email", &about(MAIL, "12345")).await.expect(201);
        for path in ["/api/notifications", sent.header("location")] {
            let _ = call(&stack, Who::patient("12345"), Method::GET, path, None).await.expect(403);
        }
        let _ = call(&stack, Who::patient("12345"), Method::POST, "/api/notifications/sms", Some(SMS)).await.expect(403);
        let _ = call(&stack, Role::Billing, Method::POST, "/api/notifications/sms", Some("nonsense")).await.expect(403);
    }

    async fn no_file_holds_a_readable_address_or_word(stack: Arc<TestStack>) {
        let _ = send(&stack, "email", &about(MAIL, "12345")).await.expect(201);
        let _ = send(&stack, "sms", SMS).await.expect(201);
        let _ = send(&stack, "push", PUSH).await.expect(201);
        let words = ["johndoe", "example.com", "+1234567890", "devicetoken", "reminder", "august"];
        stack.database(ServiceName::NotificationService).no_file_holds(&words);
    }

    async fn after_its_time_a_notification_is_gone(stack: Arc<TestStack>) {
        let sent = send(&stack, "email", MAIL).await.expect(201);
        let of_patient = send(&stack, "email", &about(MAIL, "12345")).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::days(400));
        assert_eq!(listed(&stack, "").await.len(), 2);
        stack.clock.advance(chrono::TimeDelta::days(31));
        // The housekeeping of another instance: its clock is its own.
        let other = stack.database(ServiceName::NotificationService);
        other.clock().advance(chrono::TimeDelta::days(431));
        assert!(other.db().purge().await.unwrap().keys > 0);
        for sent in [sent, of_patient] {
            let _ = get(&stack, sent.header("location")).await.expect(404);
        }
        assert!(listed(&stack, "").await.is_empty());
    }
}
