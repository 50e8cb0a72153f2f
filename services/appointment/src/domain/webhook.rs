//! A webhook of a provider's availability: its secret, what is posted, and when it is tried again.
//!
//! Signed as Standard Webhooks have it: HMAC-SHA256 of `id.timestamp.body`, in Base64, after `v1,`.

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::ambient::Random;
use contracts::availability::AvailabilityChange;
use contracts::id::{ProviderId, WebhookId};
use contracts::problem::{Faults, Problem};
use contracts::webhooks::{self as wire, URL_BYTES_MAX, WebhookEvent, WebhookRequest, WebhookState};
use data_encoding::BASE64;
use http_kit::outside::endpoint;
use serde::{Deserialize, Serialize};

use super::feed::time;

/// The name of what is told, as the stream has it.
pub const KIND: &str = "availability";
/// Standard Webhooks ask for 24 to 64.
const SECRET_BYTES: usize = 32;
/// Seconds between an attempt that failed and the next; after the last of them, again as long.
const PAUSES: [i64; 6] = [5, 30, 300, 1_800, 7_200, 18_000];
/// Whoever has failed for so long, at every attempt, is told nothing any more,
const GIVES_UP: TimeDelta = TimeDelta::days(5);
/// if there were so many: a stack that was down for days has tried hardly any.
const GIVES_UP_AFTER: i64 = 12;

/// A webhook: what is sealed as the row's body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where events are posted.
    pub url: String,
    /// What they are signed with, in Base64.
    secret: String,
    /// Which user made it.
    pub by: String,
}

/// How far one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The last change that it has taken.
    pub told: i64,
    /// Attempts that failed since the last that did not.
    pub failures: i64,
    /// What came of the last.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_at: Option<DateTime<Utc>>,
    /// When it took something last.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Since when it is told nothing any more.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Taken,
    /// It was not, and when it wants to be asked again, seconds.
    Failed(String, Option<i64>),
    /// There is nobody any more.
    Gone,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Told,
    /// It is tried again.
    Again(DateTime<Utc>, String),
    /// It is told nothing any more.
    Disabled(String),
}

/// A request of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The same for each attempt to tell of the same change.
    pub id: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// `v1,` and the signature.
    pub signature: String,
    /// What is posted.
    pub body: Vec<u8>,
}

impl Webhook {
    /// Reads a request, and makes a secret.
    pub fn parse(
        request: &WebhookRequest,
        own_hosts: &[String],
        random: &Random,
        by: &str,
    ) -> Result<Self, Problem> {
        let url = request.url.as_str();
        if url.len() > URL_BYTES_MAX || endpoint(url, own_hosts).is_none() {
            let mut faults = Faults::new();
            faults.add(
                "url",
                "must be https at a public host, or at one of spec.integrations.webhooks.ownHosts",
            );
            return Err(faults.into_problem());
        }
        let secret: [u8; SECRET_BYTES] = random.bytes();
        Ok(Self { url: url.to_owned(), secret: BASE64.encode(&secret), by: by.to_owned() })
    }

    /// The secret, as it is told once.
    pub fn secret(&self) -> String {
        format!("whsec_{}", self.secret)
    }

    /// What tells of a change now.
    pub fn signed(&self, id: &WebhookId, change: AvailabilityChange, now: DateTime<Utc>) -> Signed {
        let (id, timestamp) = (format!("msg_{id}_{}", change.change), now.timestamp());
        let event = WebhookEvent { kind: KIND.to_owned(), timestamp: time(now), data: change };
        let body = serde_json::to_vec(&event).unwrap_or_default();
        let key = BASE64.decode(self.secret.as_bytes()).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [format!("{id}.{timestamp}.").as_bytes(), &body].concat();
        let signature = format!("v1,{}", BASE64.encode(hmac::sign(&key, &signed).as_ref()));
        Signed { id, timestamp, signature, body }
    }

    /// As the API shows it.
    pub fn view(&self, id: &WebhookId, standing: &Standing) -> wire::Webhook {
        let state = match standing {
            Standing { disabled_at: Some(_), .. } => WebhookState::Disabled,
            Standing { failures: 1.., .. } => WebhookState::Failing,
            _ => WebhookState::Active,
        };
        wire::Webhook {
            webhook_id: id.clone(),
            url: self.url.clone(),
            state,
            change: standing.told,
            failures: u32::try_from(standing.failures).unwrap_or(u32::MAX),
            error: standing.error.clone(),
            delivered_at: standing.delivered_at.map(time),
            next_attempt_at: standing.next_at.filter(|_| state == WebhookState::Failing).map(time),
            created_at: time(standing.created_at),
            created_by: self.by.clone(),
        }
    }
}

/// What follows from an attempt: after so many that failed before, the first of them at `since`.
pub fn decide(outcome: Outcome, failures: i64, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Verdict {
    match outcome {
        Outcome::Taken => Verdict::Told,
        Outcome::Gone => Verdict::Disabled("It says that it is gone (410).".to_owned()),
        Outcome::Failed(why, _)
            if failures >= GIVES_UP_AFTER && since.is_some_and(|since| now - since >= GIVES_UP) =>
        {
            Verdict::Disabled(why)
        }
        Outcome::Failed(why, asked) => {
            let at = usize::try_from(failures).unwrap_or_default().min(PAUSES.len() - 1);
            let longest = PAUSES[PAUSES.len() - 1];
            let pause = PAUSES[at].max(asked.unwrap_or_default().min(longest));
            Verdict::Again(now + TimeDelta::seconds(pause), why)
        }
    }
}

/// Whose availability has changed, and how often by now.
pub fn change(provider: &ProviderId, change: i64) -> AvailabilityChange {
    AvailabilityChange { provider_id: provider.clone(), change }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn failed() -> Outcome {
        Outcome::Failed("no".to_owned(), None)
    }

    #[test]
    fn it_is_signed_as_the_standards_own_example() {
        // From the reference libraries' tests, of standard-webhooks/standard-webhooks.
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = hmac::sign(&key, format!("{id}.{timestamp}.{{\"test\": 2432232314}}").as_bytes());
        assert_eq!(BASE64.encode(signed.as_ref()), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // And ours is made the same way.
        let webhook = Webhook {
            url: String::new(),
            secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            by: String::new(),
        };
        let of = change(&ProviderId::parse("prov001").unwrap(), 18);
        let ours = webhook.signed(&WebhookId::parse("hook_1").unwrap(), of, at(timestamp));
        assert_eq!(
            String::from_utf8(ours.body.clone()).unwrap(),
            r#"{"type":"availability","timestamp":"2021-02-25T15:02:10.000Z","data":{"providerId":"prov001","change":18}}"#
        );
        let signed = [format!("msg_hook_1_18.{timestamp}.").as_bytes(), &ours.body].concat();
        assert_eq!(ours.signature, format!("v1,{}", BASE64.encode(hmac::sign(&key, &signed).as_ref())));
        assert_eq!(webhook.secret(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn pauses_grow_and_are_as_long_as_is_asked_for_within_reason() {
        let pause = |failures: i64, asked: Option<i64>| match decide(
            Outcome::Failed(String::new(), asked),
            failures,
            None,
            at(0),
        ) {
            Verdict::Again(next, _) => next.timestamp(),
            other => panic!("{other:?}"),
        };
        let pauses: Vec<_> = (0..8).map(|failures| pause(failures, None)).collect();
        assert_eq!(pauses, [5, 30, 300, 1_800, 7_200, 18_000, 18_000, 18_000]);
        assert_eq!((pause(0, Some(60)), pause(2, Some(60)), pause(0, Some(i64::MAX))), (60, 300, 18_000));
    }

    #[test]
    fn who_fails_for_days_or_is_gone_is_told_nothing_any_more() {
        let days = |days: i64| at(days * 86_400);
        assert!(matches!(decide(failed(), 20, Some(at(0)), days(4)), Verdict::Again(..)));
        assert_eq!(decide(failed(), 20, Some(at(0)), days(5)), Verdict::Disabled("no".to_owned()));
        assert!(matches!(decide(failed(), 1, Some(at(0)), days(9)), Verdict::Again(..)));
        assert!(matches!(decide(Outcome::Gone, 0, None, at(0)), Verdict::Disabled(_)));
        assert_eq!(decide(Outcome::Taken, 20, Some(at(0)), days(6)), Verdict::Told);
    }
}
