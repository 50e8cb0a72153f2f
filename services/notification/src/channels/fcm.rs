//! [`Fcm`]: push messages to phones, by Firebase Cloud Messaging's HTTP v1
//! (<https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages>).
//!
//! It knows no idempotency key. Each attempt carries the notification's id as the tag by which a phone shows a second copy in the place of the first.

use std::time::Duration;

use contracts::ambient::Clock;
use contracts::secret::Secret;
use db::Secrets;
use http_kit::kit::{BoxFuture, BuildError};
use serde::Deserialize;
use serde_json::{Value, json};
use settings::FcmSettings;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{Answer, ask, check_url, client};
use super::token::rs256;
use super::{Adapter, Outgoing};
use crate::domain::delivery::{Cause, Outcome, Refusal};
use crate::domain::device::Target;

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Google's longest.
const ASSERTION_SECONDS: i64 = 3_600;
/// A token is no more used so long before it ends.
const EARLY: Duration = Duration::from_mins(1);

/// A project.
pub(super) struct Fcm {
    settings: FcmSettings,
    secrets: Secrets,
    clock: Clock,
    http: reqwest::Client,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: Secret,
    until: Instant,
}

/// As Google writes it.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Fcm {
    pub(super) fn new(settings: &FcmSettings, secrets: Secrets, clock: Clock) -> Result<Self, BuildError> {
        check_url("integrations.push.fcm.url", &settings.url)?;
        Ok(Self { settings: settings.clone(), secrets, clock, http: client(None)?, token: Mutex::new(None) })
    }

    /// The token by which Google knows us, which is asked for once for as long as it is good.
    async fn token(&self) -> Result<Secret, Outcome> {
        let mut kept = self.token.lock().await;
        match &*kept {
            Some(token) if token.until > Instant::now() => return Ok(token.text.clone()),
            _ => *kept = None,
        }
        let granted = self.grant().await?;
        let text = Secret::new(granted.access_token);
        let lives = Duration::from_secs(granted.expires_in).saturating_sub(EARLY);
        *kept = Some(Token { text: text.clone(), until: Instant::now() + lives });
        Ok(text)
    }

    async fn grant(&self) -> Result<Granted, Outcome> {
        let not_now = |why: &str| Outcome::not_now(why);
        let file = self.secrets.read(&self.settings.service_account);
        let file =
            file.map_err(|error| not_now(&format!("The service account's key is missing: {error}.")))?;
        let account: ServiceAccount = serde_json::from_slice(&file)
            .map_err(|_| not_now("The service account's key is none of Google's."))?;
        check_url("token_uri", &account.token_uri)
            .map_err(|_| not_now("The service account's token_uri is no address that a key may go to."))?;
        let now = self.clock.now().timestamp();
        let claims = json!({
            "iss": account.client_email, "scope": SCOPE, "aud": account.token_uri, "iat": now, "exp": now + ASSERTION_SECONDS,
        });
        let assertion = rs256(&account.private_key, &claims)
            .map_err(|_| not_now("The service account's key cannot be used."))?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
        // Nothing was handed over yet, whatever goes wrong here.
        let answer = ask(self.http.post(&account.token_uri).form(&form)).await;
        let answer = answer.map_err(|_| not_now("Google gives no token."))?;
        if answer.status != 200 {
            return Err(not_now(&format!("Google gives no token ({}).", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| not_now("Google gives no token."))
    }

    async fn send(&self, message: &Outgoing, device: &str) -> Result<Answer, Outcome> {
        let token = self.token().await?;
        let FcmSettings { url, project_id, .. } = &self.settings;
        let address = format!("{}/v1/projects/{project_id}/messages:send", url.trim_end_matches('/'));
        let request =
            self.http.post(address).bearer_auth(token.reveal()).header("content-type", "application/json");
        ask(request.body(body(message, device).to_string())).await
    }
}

fn body(message: &Outgoing, device: &str) -> Value {
    let id = message.id.as_str();
    json!({"message": {
        "token": device,
        "notification": {"title": message.content.subject, "body": message.content.body},
        "data": {"notificationId": id},
        "android": {"notification": {"tag": id}},
        "apns": {"headers": {"apns-collapse-id": id}},
    }})
}

impl Adapter for Fcm {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Address(_))
    }

    fn hand_over<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Target::Address(device) = &message.target else {
                return Outcome::refused("It is to no phone.");
            };
            match self.send(message, device).await {
                Ok(answer) => {
                    if answer.status == 401 {
                        *self.token.lock().await = None;
                    }
                    read(&answer)
                }
                Err(outcome) => outcome,
            }
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: Fault,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    status: String,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    error_code: String,
}

#[derive(Deserialize)]
struct Sent {
    name: String,
}

/// What an answer means (<https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode>).
fn read(answer: &Answer) -> Outcome {
    if answer.status == 200 {
        return Outcome::Sent(serde_json::from_slice::<Sent>(&answer.body).ok().map(|sent| sent.name));
    }
    let fault = serde_json::from_slice::<Refused>(&answer.body).unwrap_or_default().error;
    let code = fault.details.into_iter().map(|detail| detail.error_code).find(|code| !code.is_empty());
    let code = code.unwrap_or(fault.status);
    let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let code = (is_code && !code.is_empty()).then_some(code);
    let why = |text: &str| match &code {
        Some(code) => format!("{text} ({}, {code}).", answer.status),
        None => format!("{text} ({}).", answer.status),
    };
    match (answer.status, code.as_deref()) {
        (404, _) | (_, Some("UNREGISTERED")) => {
            Outcome::Refused(Refusal { why: why("The device is gone"), cause: Some(Cause::Gone), code })
        }
        // Of us and not of the message, for an operator to mend; or of too many at once.
        (401 | 403 | 429 | 503, _) => {
            Outcome::NotNow { why: why("Google does not take it now"), retry_after: answer.retry_after }
        }
        (500.., _) => Outcome::unsure(&why("Google failed")),
        _ => Outcome::Refused(Refusal { why: why("Google refused it"), cause: None, code }),
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
    fn an_answer_says_what_came_of_it() {
        let name = "projects/clinic/messages/1";
        assert_eq!(
            read(&answer(200, &format!(r#"{{"name": "{name}"}}"#))),
            Outcome::Sent(Some(name.to_owned()))
        );
        let gone = r#"{"error": {"code": 404, "status": "NOT_FOUND", "details": [
            {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]}}"#;
        let Outcome::Refused(refusal) = read(&answer(404, gone)) else { panic!() };
        assert_eq!((refusal.code.as_deref(), refusal.cause), (Some("UNREGISTERED"), Some(Cause::Gone)));
        let Outcome::Refused(refusal) = read(&answer(400, r#"{"error": {"status": "INVALID_ARGUMENT"}}"#))
        else {
            panic!()
        };
        assert_eq!((refusal.code.as_deref(), refusal.cause), (Some("INVALID_ARGUMENT"), None));
        assert!(matches!(read(&answer(429, "")), Outcome::NotNow { .. }));
        assert!(matches!(read(&answer(500, "<html>")), Outcome::Unsure(_)));
    }

    proptest! {
        #[test]
        fn no_answer_upsets_it(status in 200u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&Answer { status, retry_after: None, body });
        }
    }
}
