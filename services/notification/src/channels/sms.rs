//! [`Twilio`]: text messages by Twilio's REST API (<https://www.twilio.com/docs/messaging/api/message-resource>), or by one that speaks it.
//!
//! It knows no idempotency key. So a message is not created again after an attempt of which nobody knows what came before the account's messages to
//! that number were looked through for it.

use std::sync::Arc;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::deliveries::SmsForm;
use contracts::id::NotificationId;
use data_encoding::BASE64;
use db::Secrets;
use http_kit::kit::{BoxFuture, BuildError};
use serde::Deserialize;
use settings::{Integrations, SmsSettings};

use super::http::{Answer, ask, check_url, client};
use super::{Adapter, LookUp, Outgoing};
use crate::domain::delivery::{Cause, Outcome, Refusal};
use crate::domain::device::Target;

/// Where the provider tells what became of a message.
pub const STATUS_PATH: &str = "/api/notifications/callbacks/sms";
/// So many of the newest messages to a number are looked through.
const LOOKED_THROUGH: &str = "100";
/// The two clocks may be apart so far.
const SKEW: TimeDelta = TimeDelta::minutes(2);

/// Codes of the number and not of the account: <https://www.twilio.com/docs/api/errors>.
const STOPPED: u32 = 21610;
const NO_NUMBER: [u32; 4] = [21211, 21214, 21217, 21614];
/// The same in callbacks: unknown, or a landline.
const NO_HANDSET: [u32; 2] = [30005, 30006];

/// A provider's account.
pub struct Twilio {
    settings: SmsSettings,
    secrets: Secrets,
    http: reqwest::Client,
    public_url: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    sid: String,
}

#[derive(Deserialize)]
struct Fault {
    code: Option<u32>,
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    body: Option<String>,
    /// RFC 2822.
    date_created: Option<String>,
    direction: Option<String>,
}

impl Twilio {
    /// Those that the settings name, in their order.
    pub fn all(settings: &Integrations, secrets: &Secrets) -> Result<Vec<Arc<Self>>, BuildError> {
        let public_url = settings.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        let all = settings.sms.iter().chain(&settings.sms_fallback);
        all.map(|sms| {
            check_url("integrations.sms.url", &sms.url)?;
            let (http, public_url) = (client(None)?, public_url.clone());
            Ok(Arc::new(Self { settings: sms.clone(), secrets: secrets.clone(), http, public_url }))
        })
        .collect()
    }

    fn request(&self, method: reqwest::Method) -> Result<reqwest::RequestBuilder, Outcome> {
        let SmsSettings { url, account_sid, auth_token, .. } = &self.settings;
        let token = self.secrets.read_text(auth_token).map_err(|error| {
            Outcome::not_now(&format!("The provider's token for text messages is missing: {error}."))
        })?;
        let address =
            format!("{}/2010-04-01/Accounts/{account_sid}/Messages.json", url.trim_end_matches('/'));
        Ok(self.http.request(method, address).basic_auth(account_sid, Some(&*token)))
    }

    async fn create(&self, message: &Outgoing, to: &str) -> Result<Answer, Outcome> {
        let callback = self.public_url.as_ref().map(|url| status_url(url, &message.id, message.turn));
        let mut form = vec![("To", to), ("From", &self.settings.from), ("Body", &message.content.body)];
        form.extend(callback.as_deref().map(|url| ("StatusCallback", url)));
        ask(self.request(reqwest::Method::POST)?.form(&form)).await
    }

    async fn messages(&self, to: &str) -> Result<Answer, Outcome> {
        let query = [("To", to), ("From", &self.settings.from), ("PageSize", LOOKED_THROUGH)];
        ask(self.request(reqwest::Method::GET)?.query(&query)).await
    }

    /// Whether the account's own token signed a call of the provider to this path (<https://www.twilio.com/docs/usage/security>): HMAC-SHA1 over the
    /// address that was called and all that was posted, by name.
    pub fn has_signed(&self, path: &str, form: &SmsForm, signature: &str) -> bool {
        let Some(public) = &self.public_url else { return false };
        let is_of_account = form.get("AccountSid") == Some(self.settings.account_sid.as_str());
        let (Ok(token), Ok(signature)) =
            (self.secrets.read_text(&self.settings.auth_token), BASE64.decode(signature.as_bytes()))
        else {
            return false;
        };
        is_of_account && verifies(&token, &format!("{public}{path}"), form, &signature)
    }
}

/// In constant time.
fn verifies(token: &str, url: &str, form: &SmsForm, signature: &[u8]) -> bool {
    let mut signed = url.to_owned();
    for (name, value) in &form.0 {
        signed.push_str(name);
        signed.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    hmac::verify(&key, signed.as_bytes(), signature).is_ok()
}

/// Where it is told what became of a hand-over.
fn status_url(public_url: &str, notification: &NotificationId, turn: i64) -> String {
    format!("{public_url}{}", status_path(notification.as_str(), (turn > 0).then_some(turn)))
}

/// The same without where the stack is reached: as it is signed.
pub fn status_path(notification: &str, turn: Option<i64>) -> String {
    match turn {
        Some(turn) => format!("{STATUS_PATH}?notificationId={notification}&turn={turn}"),
        None => format!("{STATUS_PATH}?notificationId={notification}"),
    }
}

/// Why a number is written to no more after such a code, if it is.
pub fn cause(code: u32) -> Option<Cause> {
    match code {
        STOPPED => Some(Cause::Stop),
        code if NO_NUMBER.contains(&code) || NO_HANDSET.contains(&code) => Some(Cause::Bounce),
        _ => None,
    }
}

impl Adapter for Twilio {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Address(_))
    }

    fn hand_over<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Target::Address(to) = &message.target else {
                return Outcome::refused("It is to no number.");
            };
            match self.create(message, to).await {
                Ok(answer) => read(&answer),
                Err(outcome) => outcome,
            }
        })
    }

    fn look_up<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, LookUp> {
        Box::pin(async move {
            let Target::Address(to) = &message.target else { return LookUp::Cannot };
            let answer = match self.messages(to).await {
                Ok(answer) if answer.status == 200 => answer,
                _ => return LookUp::Unanswered("The provider does not say whether it has it.".to_owned()),
            };
            match serde_json::from_slice::<Messages>(&answer.body) {
                Ok(found) => LookUp::Found(alike(found, message)),
                Err(_) => LookUp::Unanswered("The provider does not say whether it has it.".to_owned()),
            }
        })
    }
}

/// Those with the same text that were created since it was asked for.
fn alike(found: Messages, message: &Outgoing) -> Vec<String> {
    let since = message.asked_at - SKEW;
    let is_since =
        |text: &str| DateTime::parse_from_rfc2822(text).is_ok_and(|at| at.with_timezone(&Utc) >= since);
    let is_like = |it: &Message| {
        it.body.as_deref() == Some(message.content.body.as_str())
            && it.date_created.as_deref().is_some_and(is_since)
            && it.direction.as_deref().is_none_or(|direction| direction.starts_with("outbound"))
    };
    found.messages.into_iter().filter(is_like).map(|it| it.sid).collect()
}

/// What an answer to a creation means.
fn read(answer: &Answer) -> Outcome {
    let code = serde_json::from_slice::<Fault>(&answer.body).ok().and_then(|fault| fault.code);
    let told = |why: &str| match code {
        Some(code) => format!("{why} ({}, {code}).", answer.status),
        None => format!("{why} ({}).", answer.status),
    };
    match answer.status {
        200..=299 => {
            let created = serde_json::from_slice::<Created>(&answer.body).ok();
            Outcome::Sent(created.map(|created| created.sid))
        }
        // Of us and not of the message: an operator mends it within the day.
        401 | 403 | 404 | 429 | 503 => Outcome::NotNow {
            why: told("The provider does not take text messages now"),
            retry_after: answer.retry_after,
        },
        // It may have been created before that went wrong.
        500.. => Outcome::unsure(&told("The provider failed")),
        _ => Outcome::Refused(Refusal {
            why: told("The provider refused it"),
            code: code.map(|code| code.to_string()),
            cause: code.and_then(cause),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn the_documents_own_example_of_a_signature_verifies() {
        // https://www.twilio.com/docs/usage/security#validating-signatures-from-twilio
        let form = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675310"),
            ("Digits", "1234"),
            ("From", "+14158675310"),
            ("To", "+18005551212"),
        ];
        let form =
            SmsForm(form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        let signature = BASE64.decode(b"L/OH5YylLD5NRKLltdqwSvS0BnU=").unwrap();
        assert!(verifies("12345", url, &form, &signature));
        assert!(!verifies("12346", url, &form, &signature));
        assert!(!verifies("12345", "https://example.com/myapp.php?foo=1&bar=3", &form, &signature));
        let mut other = form.clone();
        other.0.insert("Digits".to_owned(), "1235".to_owned());
        assert!(!verifies("12345", url, &other, &signature));
    }

    #[test]
    fn an_answer_says_what_came_of_it() {
        assert_eq!(
            read(&answer(201, r#"{"sid": "SM1", "status": "queued"}"#)),
            Outcome::Sent(Some("SM1".to_owned()))
        );
        assert_eq!(read(&answer(201, "garbage")), Outcome::Sent(None));
        for (code, expected) in [(21610, Some(Cause::Stop)), (21211, Some(Cause::Bounce)), (21617, None)] {
            let body = format!(r#"{{"code": {code}, "message": "to +1234567890", "status": 400}}"#);
            let Outcome::Refused(refusal) = read(&answer(400, &body)) else { panic!("{code}") };
            assert_eq!((refusal.code, refusal.cause), (Some(code.to_string()), expected));
            assert!(!refusal.why.contains("+1234567890"));
        }
        for status in [401, 403, 404, 429, 503] {
            assert!(matches!(read(&answer(status, "")), Outcome::NotNow { .. }), "{status}");
        }
        for status in [500, 502, 504] {
            assert!(matches!(read(&answer(status, "")), Outcome::Unsure(_)), "{status}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_upsets_it(status in 200u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&Answer { status, retry_after: None, body: body.clone() });
            let _ = serde_json::from_slice::<Messages>(&body);
        }

        #[test]
        fn nothing_is_signed_by_chance(signature in proptest::collection::vec(any::<u8>(), 0..40), value in ".{0,20}") {
            let form = SmsForm([("Body".to_owned(), value)].into());
            prop_assert!(!verifies("token", "https://a.example/x", &form, &signature));
        }
    }
}
