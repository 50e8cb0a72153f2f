//! What is said of tokens: whether one is good, by which keys, and which are good no longer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token (RFC 7009 §2.1, RFC 7662 §2.1). Parameters that are not named here are passed over.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenForm {
    /// An access token, or a refresh token.
    #[schemars(length(min = 1, max = 8192))]
    pub token: String,
    /// `access_token` or `refresh_token`; not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
}

/// What a token is good for (RFC 7662 §2.2). Of one that is not good nothing is said but that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Introspection {
    /// Whether it is good just now.
    pub active: bool,
    /// What its bearer may do, names separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `Bearer`; a refresh token has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Good until, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Issued, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// A set of public keys (RFC 7517 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwkSet {
    /// The keys. Who reads them passes over those that it does not understand.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4). The stack's own are Ed25519 (RFC 8037 §2); another issuer's may be P-256 or RSA (RFC 7518 §6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Jwk {
    /// `OKP`, `EC` or `RSA`.
    pub kty: String,
    /// The curve, of `OKP` and `EC`: `Ed25519`, `P-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// What it signs with: `EdDSA`, `ES256`, `RS256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Names the key.
    pub kid: String,
    /// The key of `OKP`, or the first coordinate of `EC`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The second coordinate of `EC`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus of `RSA`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent of `RSA`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

/// From where on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevocationFilter {
    /// The `cursor` of the last answer: waits some seconds for what comes after it. Absent: everything still in force, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// What was revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocations {
    /// In order.
    pub items: Vec<Revocation>,
    /// Hand this back as `after`.
    pub cursor: i64,
}

/// Tokens that are no longer good, although they have not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Every token of this session (`sid`), if set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Every token of this user (`sub`) issued before `issued_before`, if set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Milliseconds since 1970: tokens issued (`iat_ms`) before this are meant.
    pub issued_before: i64,
    /// Seconds since 1970: after this all such tokens have expired, and this may be forgotten.
    pub expires_at: i64,
}
