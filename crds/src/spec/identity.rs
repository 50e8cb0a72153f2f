//! `spec.auth.identityProviders`: providers outside the stack that people may log in at. Secrets are named, never written here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::SecretRef;

use super::{forms, rules};

/// An identity provider that speaks OpenID Connect. Whoever logs in there is somebody here if it says of them what gives a role here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderSpec {
    /// What the stack calls it: it stands in paths, and before the names of whoever logs in there. Keep it as it is once people have.
    #[schemars(length(min = 1, max = 32), regex(pattern = forms::PROVIDER))]
    pub name: String,
    /// What people call it. Left out: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// The issuer, exactly as it calls itself. Accounts belong to it: with another issuer everybody is somebody else.
    #[schemars(length(min = 1, max = 512), regex(pattern = forms::ISSUER))]
    pub issuer: String,
    /// The id that it knows this stack by.
    #[schemars(length(min = 1, max = 320))]
    pub client_id: String,
    /// The secret by which this stack shows that it is that.
    pub client_secret: SecretRef,
    /// The certificates (PEM) that vouch for it. Left out: those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// What is asked for beside `openid`.
    #[serde(default = "IdentityProviderSpec::default_scopes")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128), regex(pattern = forms::SCOPE)), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<String>,
    /// Where it may send browsers back to, as they are registered there: `https`, or what a program on the user's own machine has (RFC 8252).
    /// The first if a client does not say which.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 512), regex(pattern = forms::REDIRECT)), extend("x-kubernetes-list-type" = "set"))]
    pub redirect_uris: Vec<String>,
    /// Where roles stand in its ID token: a member's name, or a JSON pointer (RFC 6901) such as `/realm_access/roles`.
    #[serde(default = "IdentityProviderSpec::default_roles_claim")]
    #[schemars(length(min = 1, max = 256))]
    pub roles_claim: String,
    /// Where in its ID token stands what people are shown as, in the same way. It ties nobody to anything.
    #[serde(default = "IdentityProviderSpec::default_username_claim")]
    #[schemars(length(min = 1, max = 256))]
    pub username_claim: String,
    /// Which of its roles are which here. Whoever has none of them is not let in.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["value", "role"]))]
    pub roles: Vec<OutsideRoleSpec>,
    /// When it has asked for a second factor itself, so that ours is not asked for. Left out: it is never believed to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<OutsideSecondFactorSpec>,
}

impl IdentityProviderSpec {
    fn default_scopes() -> Vec<String> {
        vec!["profile".to_owned()]
    }

    fn default_roles_claim() -> String {
        "roles".to_owned()
    }

    fn default_username_claim() -> String {
        "preferred_username".to_owned()
    }
}

/// One of the provider's roles, and what it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::outside_role()))]
pub struct OutsideRoleSpec {
    /// What stands in the claim.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
    /// A role that every stack has, or one that the clinic made for itself. Not `patient`, since the provider does not know which one.
    #[schemars(length(min = 2, max = 40), regex(pattern = forms::ROLE))]
    pub role: String,
}

/// What an ID token says of somebody who has shown a second factor there: one of these values is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::outside_second_factor()))]
pub struct OutsideSecondFactorSpec {
    /// In `amr` (RFC 8176), such as `mfa`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub amr: Vec<String>,
    /// In `acr`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub acr: Vec<String>,
}
