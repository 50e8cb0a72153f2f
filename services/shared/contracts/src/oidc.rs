//! Login at an outside identity provider (OpenID Connect Core 1.0, authorization code with PKCE).
//!
//! What holds a code or a flow has no `Debug`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An identity provider that people of this stack may log in at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// What it is called in paths.
    pub name: String,
    /// What it is called on a button.
    pub display_name: String,
}

/// Where the provider is to send the browser back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcStart {
    /// One of those that the stack's resource names; the first of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub redirect_uri: Option<String>,
}

/// A login that was begun.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcStarted {
    /// Send the browser there.
    pub authorization_url: String,
    /// Keep it where the browser keeps what no other site sees, and hand it back: it shows that who comes back is who left.
    pub flow: String,
    /// To be finished in so many seconds.
    pub expires_in: u32,
}

/// What the provider sent the browser back with.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcFinish {
    /// `flow` of the start.
    #[schemars(length(min = 1, max = 64))]
    pub flow: String,
    /// `code` of the query.
    #[schemars(length(min = 1, max = 4096))]
    pub code: String,
    /// `state` of the query.
    #[schemars(length(min = 1, max = 64))]
    pub state: String,
    /// `iss` of the query, if there is one (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub iss: Option<String>,
}

/// A code of the account's own second factor.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcSecondFactor {
    /// `flow` of the start.
    #[schemars(length(min = 1, max = 64))]
    pub flow: String,
    /// What the app shows, or a recovery code.
    #[schemars(length(min = 1, max = 64))]
    pub code: String,
}
