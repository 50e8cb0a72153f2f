//! Identity providers outside the stack that people may log in at.

use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A provider that speaks OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// What it is called in paths.
    pub name: String,
    /// What it is called on a button.
    pub display_name: String,
    /// The `iss` of its tokens; its configuration is found below it.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// How we show it.
    pub client_secret: SecretRef,
    /// The certificates (PEM) that vouch for it, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// What is asked for beside `openid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Where it may send browsers back to; the first if nothing is said.
    pub redirect_uris: Vec<String>,
    /// Where roles stand in its ID token: a member's name, or a JSON pointer (RFC 6901).
    pub roles_claim: String,
    /// Where a name for people stands, in the same way.
    pub username_claim: String,
    /// Which of its roles are which of ours.
    pub roles: Vec<OutsideRole>,
    /// When it has asked for a second factor itself.
    #[serde(default, skip_serializing_if = "OutsideSecondFactor::is_never")]
    pub second_factor: OutsideSecondFactor,
}

/// What stands in the claim, and what it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutsideRole {
    /// A value of the claim.
    pub value: String,
    /// A role.
    pub role: String,
}

/// What an ID token says of somebody who has shown a second factor. One of these is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutsideSecondFactor {
    /// Ways of authentication (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Classes of authentication.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr: Vec<String>,
}

impl OutsideSecondFactor {
    fn is_never(&self) -> bool {
        self.amr.is_empty() && self.acr.is_empty()
    }
}
