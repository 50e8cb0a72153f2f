//! The capture box as a list.

use super::*;

testkit::stack_tests! { services = [notification::SERVICE];
    async fn notifications_are_found_by_channel_address_patient_and_status(stack: Arc<TestStack>) {
        for (channel, body) in [("email", MAIL), ("sms", SMS), ("push", PUSH)] {
            let _ = send(&stack, channel, body).await.expect(201);
        }
        let _ = send(&stack, "email", &about(&MAIL.replace("johndoe", "jane"), "12345")).await.expect(201);
        let _ = send(&stack, "sms", &about(SMS, "12345")).await.expect(201);
        for (query, count) in [
            ("", 5), ("channel=Email", 2), ("channel=Push", 1), ("status=Sent", 5), ("status=Queued", 0),
            ("to=JohnDoe@Example.com", 1), ("to=%2B1234567890", 2), ("to=deviceToken123", 1), ("to=devicetoken123", 0),
            ("to=johndoe", 0), ("patientId=12345", 2), ("patientId=67890", 0), ("patientId=12345&channel=Sms", 1),
            ("to=%2B1234567890&patientId=12345&channel=Sms&status=Sent", 1), ("to=%2B1234567890&status=Failed", 0),
        ] {
            assert_eq!(listed(&stack, query).await.len(), count, "{query}");
        }
    }

    async fn pages_follow_one_another_newest_first_and_miss_nothing(stack: Arc<TestStack>) {
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(1));
            let body = about(&SMS.replace("10:00", &format!("1{at}:00")), "12345");
            let _ = send(&stack, "sms", &body).await.expect(201);
        }
        for filter in ["", "&to=%2B1234567890", "&patientId=12345"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = get(&stack, &format!("/api/notifications?limit=3{filter}{cursor}")).await.expect(200).json();
                for item in page["items"].as_array().unwrap() {
                    seen.push(item["body"].as_str().unwrap().to_owned());
                }
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), 7, "{filter}");
            assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        for (query, field) in [
            ("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("channel=Pigeon", "channel"),
            ("status=Lost", "status"), ("to=", "to"), ("to=a%00b", "to"), ("patientId=a%20b", "patientId"), ("from=x", "from"),
        ] {
            let refused = get(&stack, &format!("/api/notifications?{query}")).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
        let _ = get(&stack, "/api/notifications/notif_unknown").await.expect(404);
        let _ = get(&stack, "/api/notifications/a%00b").await.expect(404);
    }
}
