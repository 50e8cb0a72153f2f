//! [`Provider`]: where to send a browser, and whom a code is for that it comes back with.
//!
//! What a provider says of itself and its keys are asked for when they are needed, and go for ten minutes; a key that is not among them
//! is looked for at once, a few times a minute at most. While one asks, the others wait for what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Secrets;
use http_kit::keys::{ForeignKeys, Signed, Unbelieved};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::document::{self, Document};
use super::fetch::{self, Fault, What};
use super::id_token::{self, BadClaim, Expected};
use crate::domain::flow::Begun;
use crate::domain::outside::{Claim, Identity, NoRole, RoleTable, has_shown_second_factor};

/// What was asked is good for so long.
const GOOD_FOR: Duration = Duration::from_mins(10);
/// A key that is not known is looked for at most this often, however many tokens name one.
const BETWEEN_KEYS: Duration = Duration::from_secs(5);
/// Who has just not answered is left alone for so long: those who waited do not each wait again.
const REST: Duration = Duration::from_secs(1);
/// Configuration and keys together.
const ASK_MAX: Duration = Duration::from_secs(5);
/// All that a request waits for a provider, whatever it does.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// The longest name that is looked at, characters.
const NAME_CHARS_MAX: usize = 320;

/// The providers that the stack names.
#[derive(Debug, Default)]
pub struct Providers(BTreeMap<String, Provider>);

impl Providers {
    /// From the settings. Nobody is asked anything yet.
    pub fn new(settings: &[settings::IdentityProvider], secrets: &Secrets) -> Self {
        let provider = |it: &settings::IdentityProvider| (it.name.clone(), Provider::new(it, secrets));
        Self(settings.iter().map(provider).collect())
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.values()
    }
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    settings: settings::IdentityProvider,
    secrets: Secrets,
    roles: RoleTable,
    name: Claim,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    known: Option<Arc<Known>>,
    failed: Option<Instant>,
}

/// What was asked.
#[derive(Debug)]
struct Known {
    http: Client,
    document: Document,
    keys: ForeignKeys,
    at: Instant,
}

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It came back from somewhere else (RFC 9207).
    #[error("the browser comes back from another issuer")]
    Issuer,
    /// The provider does not take the code.
    #[error("the identity provider does not take the code")]
    Code,
    /// It gives none.
    #[error("the identity provider gives no ID token")]
    NoToken,
    /// The token is not believed.
    #[error("the ID token is not believed: {0}")]
    Unbelieved(#[from] Unbelieved),
    /// It does not say what it must.
    #[error(transparent)]
    Claim(#[from] BadClaim),
}

/// What comes of a code, if it is not somebody.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The provider is at fault, or cannot be asked.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Whoever brought the code is not let in.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What a token endpoint answers, so far as it is used here. The access token is for the provider's own API, which nobody here calls.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

impl Provider {
    fn new(settings: &settings::IdentityProvider, secrets: &Secrets) -> Self {
        Self {
            roles: RoleTable::new(&settings.roles_claim, &settings.roles),
            name: Claim::new(&settings.username_claim),
            settings: settings.clone(),
            secrets: secrets.clone(),
            asked: Mutex::default(),
        }
    }

    /// What the stack calls it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What people call it.
    pub fn display_name(&self) -> &str {
        &self.settings.display_name
    }

    /// Where a browser may come back to: this, if it is one of those that are registered, or the first of them.
    pub fn redirect_uri<'a>(&'a self, asked: Option<&'a str>) -> Option<&'a str> {
        let registered = &self.settings.redirect_uris;
        match asked {
            // To the letter, as the provider compares them too (RFC 9700 §2.1).
            Some(asked) => registered.iter().find(|known| *known == asked).map(String::as_str),
            None => registered.first().map(String::as_str),
        }
    }

    /// Where to send the browser.
    pub async fn authorization_url(&self, begun: &Begun) -> Result<Url, Fault> {
        let known = within(self.known()).await?;
        let mut url = known.document.authorization.clone();
        let scopes: BTreeSet<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        let scope = scopes.into_iter().filter(|scope| *scope != "openid");
        let scope = std::iter::once("openid").chain(scope).collect::<Vec<_>>().join(" ");
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &self.settings.client_id);
        query.append_pair("redirect_uri", &begun.redirect_uri);
        query.append_pair("scope", &scope);
        query.append_pair("state", &begun.state);
        query.append_pair("nonce", &begun.nonce);
        query.append_pair("code_challenge", &begun.challenge());
        query.append_pair("code_challenge_method", "S256");
        drop(query);
        Ok(url)
    }

    /// Whom a code is for. Whoever has no role here is somebody all the same: roles that they had are to be taken away.
    pub async fn redeem(
        &self,
        begun: &Begun,
        (code, iss): (&str, Option<&str>),
        now: DateTime<Utc>,
    ) -> Result<Identity, Failed> {
        within(async {
            let known = self.known().await?;
            self.check_issuer(&known.document, iss)?;
            let tokens = self.tokens(&known, begun, code).await?;
            let id_token = tokens.id_token.ok_or(Refusal::NoToken)?;
            let signed = self.verify(known, &id_token).await?;
            let expected = Expected {
                issuer: &self.settings.issuer,
                client_id: &self.settings.client_id,
                nonce: &begun.nonce,
                access_token: tokens.access_token.as_deref(),
                now,
            };
            let subject = id_token::subject(&signed, &expected).map_err(Refusal::Claim)?.to_owned();
            Ok(self.identity(subject, &signed.claims))
        })
        .await
    }

    /// Who sent the browser back says so, or always did not (RFC 9207 §2.4).
    fn check_issuer(&self, document: &Document, iss: Option<&str>) -> Result<(), Refusal> {
        match iss {
            Some(iss) if iss != self.settings.issuer => Err(Refusal::Issuer),
            None if document.says_issuer => Err(Refusal::Issuer),
            _ => Ok(()),
        }
    }

    async fn tokens(&self, known: &Known, begun: &Begun, code: &str) -> Result<Tokens, Failed> {
        // Read each time, so that a rotated secret is seen.
        let secret = self.secrets.read_text(&self.settings.client_secret).map_err(Fault::from)?;
        let id = self.settings.client_id.as_str();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &begun.redirect_uri),
            ("code_verifier", &begun.verifier),
        ];
        let mut request = known.http.post(known.document.token.clone());
        if known.document.secret_in_body {
            form.extend([("client_id", id), ("client_secret", &secret)]);
        } else {
            request = request.basic_auth(escaped(id), Some(escaped(&secret)));
        }
        let (status, body) = fetch::answer(request.form(&form), What::Tokens).await?;
        match (status, fetch::oauth_error(&body)) {
            (200, _) => Ok(fetch::json(&body, What::Tokens)?),
            (400, Some(error)) if error == "invalid_grant" => Err(Refusal::Code.into()),
            (400..=403, Some(error)) => Err(Fault::Refuses(error).into()),
            (status, _) => Err(Fault::Status(status, "token endpoint").into()),
        }
    }

    /// What the token says. A key that is not known may have been made since the keys were asked for.
    async fn verify(&self, known: Arc<Known>, token: &str) -> Result<Signed<Value>, Failed> {
        let known = match known.keys.verify(token) {
            Err(Unbelieved::UnknownKey) => self.known_after(&known).await?,
            verified => return Ok(verified.map_err(Refusal::from)?),
        };
        Ok(known.keys.verify(token).map_err(Refusal::from)?)
    }

    fn identity(&self, subject: String, claims: &Value) -> Identity {
        let name = self.name.of(claims).and_then(Value::as_str);
        let roles = self.roles.roles(claims).unwrap_or_else(|why: NoRole| {
            tracing::warn!(provider = self.name(), %why, "an identity provider gives somebody no role here");
            BTreeSet::new()
        });
        Identity {
            issuer: self.settings.issuer.clone(),
            subject,
            name: name.map(|name| name.chars().take(NAME_CHARS_MAX).collect()),
            roles,
            second_factor: has_shown_second_factor(&self.settings.second_factor, claims),
        }
    }

    async fn known(&self) -> Result<Arc<Known>, Fault> {
        let mut asked = self.asked.lock().await;
        if let Some(known) = asked.known.as_ref().filter(|known| known.at.elapsed() < GOOD_FOR) {
            return Ok(Arc::clone(known));
        }
        self.ask(&mut asked).await
    }

    /// What is known after this: what somebody else has asked meanwhile, or what is asked now.
    async fn known_after(&self, before: &Arc<Known>) -> Result<Arc<Known>, Fault> {
        let mut asked = self.asked.lock().await;
        match &asked.known {
            Some(known) if !Arc::ptr_eq(known, before) => Ok(Arc::clone(known)),
            Some(known) if known.at.elapsed() < BETWEEN_KEYS => Ok(Arc::clone(known)),
            _ => self.ask(&mut asked).await,
        }
    }

    async fn ask(&self, asked: &mut Asked) -> Result<Arc<Known>, Fault> {
        if asked.failed.is_some_and(|failed| failed.elapsed() < REST) {
            return Err(Fault::Resting);
        }
        let answer = timeout(ASK_MAX, self.fetch()).await.unwrap_or(Err(Fault::Slow));
        asked.failed = answer.is_err().then(Instant::now);
        let known = Arc::new(answer?);
        asked.known = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn fetch(&self) -> Result<Known, Fault> {
        let issuer = &self.settings.issuer;
        let authorities = match &self.settings.ca {
            Some(ca) => {
                // Names it if it is not there.
                self.secrets.read(ca)?;
                Some(self.secrets.folder(&ca.secret)?.join(&ca.key))
            }
            None => None,
        };
        let http = fetch::client(authorities.as_deref(), issuer.starts_with("http://"))?;
        let body = fetch::bytes(http.get(document::place(issuer)?), What::Configuration).await?;
        let document = Document::read(&body, issuer)?;
        let body = fetch::bytes(http.get(document.keys.clone()), What::Keys).await?;
        let garbage = |error: serde_json::Error| Fault::Garbage("key set", error.line(), error.column());
        let keys = ForeignKeys::read(&body).map_err(garbage)?;
        Ok(Known { http, document, keys, at: Instant::now() })
    }
}

/// Waits for a provider, but not for ever.
async fn within<T, E: From<Fault>>(asked: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(WAIT_MAX, asked).await.unwrap_or_else(|_| Err(Fault::Slow.into()))
}

/// As a client's id and secret stand in `Authorization: Basic` (RFC 6749 §2.3.1).
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_hold_what_separates_it() {
        assert_eq!(escaped("a:b c+d/é~"), "a%3Ab%20c%2Bd%2F%C3%A9%7E");
    }
}
