//! Appointments told of by push: to each device of whoever wishes it so, and another way where there is none.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use testkit::fake::Fake;

use super::*;
use crate::channels::channel_tests;
use crate::push::{both, gone, keys, takes_all};
use crate::reminders::{STARTS, clinic, tell, until_told};

const CLINIC: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];

async fn wish_push(stack: &Arc<TestStack>, whose: &str) {
    let path = format!("/api/notifications/preferences/{whose}");
    let wish = r#"{"channels": ["Push", "Email"]}"#;
    let _ = call(stack, Role::Receptionist, Method::PUT, &path, Some(wish)).await.expect(200);
}

async fn register(stack: &Arc<TestStack>, who: Who, token: &str) -> String {
    let body = json!({"token": token}).to_string();
    let made = call(stack, who, Method::POST, "/api/notifications/devices", Some(&body)).await.expect(201);
    made.json()["deviceId"].as_str().unwrap().to_owned()
}

/// What is listed of a type for the patient: channel, to whom and where it stands, in the order of the addresses.
async fn ways(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut ways: Vec<_> = listed(stack, query)
        .await
        .iter()
        .map(|item| [&item["channel"], &item["to"], &item["status"]].map(text).join(" "))
        .collect();
    ways.sort();
    ways
}

async fn until(stack: &Arc<TestStack>, query: &str, expected: &[String]) {
    let mut last = Vec::new();
    for _ in 0..2_400 {
        last = ways(stack, query).await;
        if last == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(last, expected);
}

fn sorted(mut ways: Vec<String>) -> Vec<String> {
    ways.sort();
    ways
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn who_wishes_push_and_has_devices_is_told_on_each_of_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish_push(&stack, "12345").await;
        let first = register(&stack, Who::patient("12345"), "phone").await;
        let second = register(&stack, Who::patient("12345"), "tablet").await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let each = |devices: &[&String]| sorted(devices.iter().map(|it| format!("Push {it} Sent")).collect());
        assert_eq!(ways(&stack, "type=creation&channel=Push").await, each(&[&first, &second]));
        // What waits is there once; who has another device by its time is told there as well.
        assert_eq!(ways(&stack, "type=reminder&channel=Push").await.len(), 2);
        let third = register(&stack, Who::patient("12345"), "watch").await;
        stack.clock.advance(TimeDelta::days(4));
        until(&stack, "type=reminder&channel=Push&status=Sent", &each(&[&first, &second, &third])).await;
        // An event that comes again tells nothing again.
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(ways(&stack, "type=creation&channel=Push").await.len(), 2);
        // The provider wishes nothing in particular.
        assert_eq!(ways(&stack, "type=creation&channel=Email").await, ["Email janedoe@example.com Sent"]);
    }

    async fn who_wishes_push_and_has_no_device_is_written_to_by_mail(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish_push(&stack, "12345").await;
        let device = register(&stack, Who::patient("12345"), "phone").await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(ways(&stack, "type=reminder&channel=Push").await.len(), 2);
        let path = format!("/api/notifications/devices/{device}");
        let _ = call(&stack, Who::patient("12345"), Method::DELETE, &path, None).await.expect(200);
        stack.clock.advance(TimeDelta::days(4));
        until_told(&stack, "&to=johndoe@example.com", &["reminder johndoe@example.com Sent 2026-01-19T09:00:00Z"]).await;
        let _ = tell(&stack, "rescheduled", 2, "2026-01-20T10:00:00Z").await;
        assert_eq!(ways(&stack, "type=change&to=johndoe@example.com").await, ["Email johndoe@example.com Sent"]);
    }

    async fn a_provider_is_told_on_their_own_device_and_nobody_elses(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish_push(&stack, "providers/prov001").await;
        let own = register(&stack, Who::clinician("prov001"), "phone").await;
        let _ = register(&stack, Who::clinician("prov002"), "other").await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(ways(&stack, "type=creation&channel=Push").await, [format!("Push {own} Sent")]);
        assert_eq!(ways(&stack, "type=creation&channel=Email").await, ["Email johndoe@example.com Sent"]);
    }
}

channel_tests! { services = crate::push_reminders::CLINIC;
    both: async fn whose_last_device_is_gone_is_told_another_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let google = Fake::start(ports[0], takes_all).await;
        clinic(&stack).await;
        wish_push(&stack, "12345").await;
        let device = register(&stack, Who::patient("12345"), "phone").await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until(&stack, "type=creation&channel=Push", &[format!("Push {device} Sent")]).await;
        google.next(gone());
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        until(&stack, "type=change&to=johndoe@example.com", &["Email johndoe@example.com Sent".to_owned()]).await;
        assert!(ways(&stack, "type=change&channel=Push").await.is_empty());
    }

    both: async fn whose_devices_are_all_gone_at_once_is_told_another_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let google = Fake::start(ports[0], takes_all).await;
        clinic(&stack).await;
        wish_push(&stack, "12345").await;
        for number in 0..6 {
            let _ = register(&stack, Who::patient("12345"), &format!("phone{number}")).await;
        }
        let _ = tell(&stack, "booked", 1, STARTS).await;
        for _ in 0..2_400 {
            if ways(&stack, "type=creation&channel=Push&status=Sent").await.len() == 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        for _ in 0..6 {
            google.next(gone());
        }
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        until(&stack, "type=change&to=johndoe@example.com", &["Email johndoe@example.com Sent".to_owned()]).await;
    }
}
