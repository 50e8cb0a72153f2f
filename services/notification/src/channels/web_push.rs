//! [`WebPush`]: push messages to browsers (RFC 8030), encrypted for them (RFC 8291), by a sender that push services know again (RFC 8292).
//!
//! Each attempt carries the notification's id as its topic, by which a push service puts it in the place of an earlier one that waits; and as the
//! tag that the page shows it by.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use contracts::ambient::{Clock, Random};
use db::Secrets;
use http_kit::kit::{BoxFuture, BuildError};
use http_kit::outside::endpoint;
use reqwest::Url;
use serde_json::json;
use settings::WebPushSettings;

use super::encrypted_push::{TEXT_BYTES_MAX, encrypt};
use super::http::{Answer, ask, client};
use super::token::VapidKey;
use super::{Adapter, Outgoing};
use crate::domain::delivery::{Cause, Outcome, Refusal};
use crate::domain::device::{Subscription, Target};

/// A push service keeps it so long for a browser that is away.
const TTL_SECONDS: &str = "86400";
/// RFC 8292 §2: a day at most.
const TOKEN_SECONDS: i64 = 12 * 3_600;
/// RFC 8030 §5.4.
const TOPIC_CHARS_MAX: usize = 32;

/// All push services there are: each subscription names its own.
pub(super) struct WebPush {
    settings: WebPushSettings,
    secrets: Secrets,
    clock: Clock,
    random: Random,
    http: reqwest::Client,
}

impl WebPush {
    pub(super) fn new(
        settings: &WebPushSettings,
        secrets: Secrets,
        (clock, random): (Clock, Random),
    ) -> Result<Self, BuildError> {
        let http = client(Some(&settings.own_hosts))?;
        Ok(Self { settings: settings.clone(), secrets, clock, random, http })
    }

    async fn send(&self, message: &Outgoing, subscription: &Subscription) -> Result<Answer, Outcome> {
        let url = endpoint(&subscription.endpoint, &self.settings.own_hosts)
            .ok_or_else(|| Outcome::refused("The subscription's endpoint is none that may be called."))?;
        let text = text(message);
        let keys = (&*subscription.p256dh, &*subscription.auth);
        let salt = self.random.bytes();
        // A key for this message alone.
        let sender =
            PrivateKey::generate(&ECDH_P256).map_err(|_| Outcome::not_now("There is no new key."))?;
        let body = encrypt(&text, keys, (&sender, salt))
            .map_err(|_| Outcome::refused("The subscription's keys cannot be used."))?;
        let authorization = self.authorization(&url)?;
        let request = self
            .http
            .post(url)
            .header("authorization", authorization)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", TTL_SECONDS)
            .header("urgency", "normal")
            .header("topic", topic(message.id.as_str()));
        ask(request.body(body)).await
    }

    fn authorization(&self, url: &Url) -> Result<String, Outcome> {
        let none = |_| Outcome::not_now("The VAPID key cannot be used.");
        let pem = self.secrets.read_text(&self.settings.vapid_key);
        let pem = pem.map_err(|error| Outcome::not_now(&format!("The VAPID key is missing: {error}.")))?;
        let key = VapidKey::from_pem(&pem).map_err(none)?;
        let token = key.sign(&json!({
            "aud": url.origin().ascii_serialization(),
            "exp": self.clock.now().timestamp() + TOKEN_SECONDS,
            "sub": self.settings.contact,
        }));
        Ok(format!("vapid t={},k={}", token.map_err(none)?, key.public()))
    }
}

/// RFC 8030 §5.4 takes letters of Base64url, 32 at most.
fn topic(id: &str) -> String {
    let good = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    let letters: Vec<char> = id.chars().filter(good).collect();
    letters[letters.len().saturating_sub(TOPIC_CHARS_MAX)..].iter().collect()
}

/// What the page's service worker reads. A text that is too long is cut: a push service need take no more.
fn text(message: &Outgoing) -> Vec<u8> {
    let mut body = message.content.body.as_str();
    loop {
        let shown = json!({
            "title": message.content.subject, "body": body, "tag": message.id.as_str(), "notificationId": message.id.as_str(),
        });
        let text = shown.to_string().into_bytes();
        if text.len() <= TEXT_BYTES_MAX || body.is_empty() {
            return text;
        }
        let keep = body.len().saturating_sub(text.len() - TEXT_BYTES_MAX);
        body = &body[..(0..=keep).rev().find(|at| body.is_char_boundary(*at)).unwrap_or(0)];
    }
}

impl Adapter for WebPush {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Browser(_))
    }

    fn hand_over<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Target::Browser(subscription) = &message.target else {
                return Outcome::refused("It is to no browser.");
            };
            match self.send(message, subscription).await {
                Ok(answer) => read(&answer),
                Err(outcome) => outcome,
            }
        })
    }
}

fn read(answer: &Answer) -> Outcome {
    let why = |text: &str| format!("{text} ({}).", answer.status);
    let code = Some(answer.status.to_string());
    match answer.status {
        200..=299 => Outcome::Sent(None),
        404 | 410 => {
            Outcome::Refused(Refusal { why: why("The subscription is gone"), code, cause: Some(Cause::Gone) })
        }
        401 | 403 | 429 | 503 => Outcome::NotNow {
            why: why("The push service does not take it now"),
            retry_after: answer.retry_after,
        },
        500.. => Outcome::unsure(&why("The push service failed")),
        _ => Outcome::Refused(Refusal { why: why("The push service refused it"), code, cause: None }),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contracts::id::NotificationId;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::notification::Content;

    proptest! {
        #[test]
        fn a_text_of_any_length_fits(body in "(\\PC|ä|\\n){0,4000}") {
            let message = Outgoing {
                turn: 0,
                id: NotificationId::parse("notif_1").unwrap(),
                name: None,
                asked_at: DateTime::UNIX_EPOCH,
                content: Content { subject: Some("Reminder".to_owned()), body, ..Content::default() },
                target: Target::Address(String::new()),
                unsubscribe: None,
            };
            prop_assert!(text(&message).len() <= TEXT_BYTES_MAX);
        }

        #[test]
        fn a_topic_is_one(id in "[A-Za-z0-9._-]{1,64}") {
            prop_assert!(topic(&id).len() <= TOPIC_CHARS_MAX);
        }
    }
}
