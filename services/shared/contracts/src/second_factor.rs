//! A second factor: codes that an app makes from a secret and the time (TOTP, RFC 6238), and recovery codes for whoever has lost it.
//!
//! What holds a secret or a code has no `Debug`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether there is a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecondFactorStatus {
    /// There is none.
    None,
    /// Logging in takes a code.
    Active,
}

/// A user's second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// Whether there is one.
    pub status: SecondFactorStatus,
    /// Whether a role of the user asks for one.
    pub required: bool,
    /// Since when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled_at: Option<DateTime<Utc>>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: u32,
}

/// Shows who asks: that a token is there is not enough, since it may be stolen.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorRequest {
    /// The user's password.
    #[schemars(length(min = 1, max = 256))]
    pub current_password: String,
    /// What the app shows, or a recovery code, if there is a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub code: Option<String>,
}

/// A secret to put into an app. Shown once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorOffer {
    /// `Offered`.
    pub status: String,
    /// The secret, in base32, to be typed.
    pub secret: String,
    /// The same with all that an app needs (`otpauth://totp/…`), to be shown as a QR code.
    pub uri: String,
    /// To be confirmed by then.
    pub expires_at: DateTime<Utc>,
}

/// A first code.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorCode {
    /// What the app shows for the secret that was offered.
    #[schemars(length(min = 1, max = 64))]
    pub code: String,
}

/// The answer to a first code that was right.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorConfirmed {
    /// `Active`.
    pub status: String,
    /// Each is good once in the place of a code. Shown once.
    pub recovery_codes: Vec<String>,
}

/// The answer to a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorRemoved {
    /// `Removed`.
    pub status: String,
}
