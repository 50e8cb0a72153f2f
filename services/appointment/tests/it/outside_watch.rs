//! Google tells when its calendar has changed: channels, by the fake of [`super::outside_google`] ("Push notifications" of the Calendar API v3).

use chrono::TimeDelta;

use super::outside::{look, run_with};
use super::outside_google::{Fake, google, google_tests, settings, when, within};
use super::*;

/// Tells what Google does when something changes, with this token.
async fn told(stack: &Arc<TestStack>, channel: &Value, token: &str) -> u16 {
    let address = channel["address"].as_str().unwrap();
    let path = address.strip_prefix("https://clinic.example").unwrap();
    let request = stack.request(ServiceName::AppointmentService, Method::POST, path);
    let headers = [
        ("x-goog-channel-id", channel["id"].as_str().unwrap()),
        ("x-goog-channel-token", token),
        ("x-goog-message-number", "7"),
        ("x-goog-resource-id", "o3hgv1538sdjfh"),
        ("x-goog-resource-state", "exists"),
    ];
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send().await.unwrap().status().as_u16()
}

google_tests! {
    async fn what_changes_at_google_is_looked_at_when_google_tells_of_it(stack: Arc<TestStack>, fake: Fake) {
        let _ = look(&stack, "Ok").await;
        let channel = within(&fake).channels[0].clone();
        let token = channel["token"].as_str().unwrap().to_owned();
        let last = if token.ends_with('0') { '1' } else { '0' };
        let forged = format!("{}{last}", &token[..token.len() - 1]);
        let lists = || within(&fake).asked.iter().filter(|asked| asked.starts_with("list")).count();
        let before = lists();
        let mut other = channel.clone();
        other["address"] = json!("https://clinic.example/api/appointments/calendars/google/watch_1");
        for (channel, token) in [(&channel, ""), (&channel, forged.as_str()), (&other, token.as_str())] {
            assert_eq!(told(&stack, channel, token).await, 404);
        }
        assert_eq!(lists(), before);
        within(&fake).write("lunch1", &json!({"start": when("10:00"), "end": when("11:00")}));
        // Long before it would be looked at.
        assert_eq!(told(&stack, &channel, &token).await, 200);
        let mut status = 201;
        for number in 0..400 {
            let id = format!("apt{number}");
            status = book(&stack, Role::Admin, &at(&id, "12345", "prov001", "10:30")).await.status;
            if status == 409 {
                break;
            }
            let _ = cancel(&stack, &id).await.expect(200);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(status, 409);
        assert!(lists() > before);
    }

    async fn a_channel_is_renewed_before_it_ends_and_the_one_before_is_ended(stack: Arc<TestStack>, fake: Fake) {
        let standing = look(&stack, "Ok").await;
        assert_eq!(standing["toldUntil"], "2026-01-22T09:00:00.000Z");
        let first = within(&fake).channels[0].clone();
        look(&stack, "Ok").await;
        assert_eq!(within(&fake).channels, std::slice::from_ref(&first));
        stack.clock.advance(TimeDelta::days(6));
        within(&fake).channels_end = (stack.clock.now() + TimeDelta::days(7)).timestamp_millis();
        look(&stack, "Ok").await;
        for _ in 0..400 {
            if within(&fake).channels.iter().all(|channel| *channel != first) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let channels = within(&fake).channels.clone();
        assert_eq!(channels.len(), 1);
        assert!(channels[0]["id"] != first["id"] && channels[0]["token"] != first["token"]);
        assert_eq!(told(&stack, &first, first["token"].as_str().unwrap()).await, 404);
        assert_eq!(told(&stack, &channels[0], channels[0]["token"].as_str().unwrap()).await, 200);
    }

    async fn who_is_refused_a_channel_polls_and_asks_again_in_an_hour(stack: Arc<TestStack>, fake: Fake) {
        within(&fake).no_channels = Some((401, "push.webhookUrlUnauthorized"));
        let standing = look(&stack, "Ok").await;
        assert_eq!(standing["toldUntil"], Value::Null);
        let asked = || within(&fake).asked.iter().filter(|asked| *asked == "watch").count();
        let before = asked();
        look(&stack, "Ok").await;
        assert_eq!(asked(), before);
        within(&fake).no_channels = None;
        stack.clock.advance(TimeDelta::hours(1));
        assert_ne!(look(&stack, "Ok").await["toldUntil"], Value::Null);
    }
}
