//! Tokens: the access token, a signed JWT for minutes, and the refresh token, good for one exchange.

use std::fmt;
use std::sync::Arc;

use contracts::ambient::Random;
use contracts::id::{PatientId, ProviderId, UserId};
use http_kit::token::{Claims, Grant};
use serde::{Deserialize, Serialize};
use settings::AuthSettings;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::session::{LogOffs, Times};
use crate::domain::user::User;
use crate::signing::SigningKeys;

/// Issues access tokens.
#[derive(Debug)]
pub struct Issuer {
    keys: Arc<SigningKeys>,
    /// `iss` in every token.
    name: String,
    audience: String,
    /// How long tokens and sessions last.
    pub lifetimes: LogOffs,
}

impl Issuer {
    /// By the stack's settings.
    pub fn new(keys: Arc<SigningKeys>, settings: &AuthSettings) -> Self {
        Self {
            keys,
            name: settings.issuer.clone(),
            audience: settings.audience.clone(),
            lifetimes: LogOffs::from(settings),
        }
    }

    /// Who issues: `iss`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What an app for second factors shows beside its codes: the last part of the issuer's name, which is the stack's.
    pub fn title(&self) -> &str {
        self.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("healthcare")
    }

    /// The keys.
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// A token for a user in a session whose times were just set.
    pub fn access_token(&self, random: &Random, now: chrono::DateTime<chrono::Utc>, to: &To<'_>) -> String {
        let mut claims = Claims {
            iss: self.name.clone(),
            aud: self.audience.clone(),
            sub: to.id.to_string(),
            sid: Some(to.session.to_owned()),
            jti: random.id("tok"),
            iat: now.timestamp(),
            iat_ms: Some(now.timestamp_millis()),
            exp: to.times.token_expires_at.timestamp(),
            name: Some(to.user.username.to_string()),
            roles: to.user.role_names().iter().map(ToString::to_string).collect(),
            scope: to.user.permissions().to_scope(),
            grants: to.user.made.iter().map(Grant::from).collect(),
            only_enrols: to.only_enrols,
            patient_id: to.user.patient_id.as_ref().map(PatientId::to_string),
            provider_id: to.user.provider_id.as_ref().map(ProviderId::to_string),
        };
        if to.only_enrols {
            claims.roles.clear();
            claims.scope.clear();
            claims.grants.clear();
            (claims.patient_id, claims.provider_id) = (None, None);
        }
        self.keys.sign(&claims)
    }
}

/// Who is given an access token, and in which session.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    /// The user's id.
    pub id: &'a UserId,
    /// The user.
    pub user: &'a User,
    /// The session's id.
    pub session: &'a str,
    /// The session's times.
    pub times: &'a Times,
    /// Whether they may do nothing but enrol a second factor.
    pub only_enrols: bool,
}

/// A refresh token: 256 random bits, of which the database keeps a hash. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefreshToken(String);

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl RefreshToken {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        Self(data_encoding::BASE64URL_NOPAD.encode(&*Zeroizing::new(random.bytes::<32>())))
    }

    /// One that a client presents, of whatever form: what is not ours has a hash that we do not know.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256. No salt and no slow hash: nobody can go through 2²⁵⁶ tokens.
    pub fn hash(&self) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_bytes()).as_ref().to_vec()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}
