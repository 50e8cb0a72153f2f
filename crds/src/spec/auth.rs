//! `spec.auth`: tokens, sessions and passwords.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::PasswordPolicy;

use super::{Span, rules};

/// Tokens, sessions and passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::auth()))]
pub struct AuthSpec {
    /// Life of an access token: 1m to 1h. Short, since it is what a thief would use; clients refresh it without their user noticing.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1m", "1h")))]
    pub access_token_lifetime: Span,
    /// Life of a refresh token that is not used: longer than an access token's, at most a session's.
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub refresh_token_lifetime: Span,
    /// Life of a session, however often it is refreshed: at most 365d. Then the user signs in again.
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(60, 365)))]
    pub session_lifetime: Span,
    /// When a part of the stack has not heard for so long who was logged out, it refuses what people would change until it does (503); they
    /// may read until their tokens expire. 30s to 10m.
    #[schemars(extend("x-kubernetes-validations" = rules::between("30s", "10m")))]
    pub revocations_stale_after: Span,
    /// What a new password must be.
    pub password_policy: PasswordPolicy,
}

impl Default for AuthSpec {
    fn default() -> Self {
        Self {
            access_token_lifetime: Span::from_secs(600),
            refresh_token_lifetime: Span::from_secs(7 * 86_400),
            session_lifetime: Span::from_secs(30 * 86_400),
            revocations_stale_after: Span::from_secs(u64::from(settings::REVOCATIONS_STALE_SECONDS)),
            password_policy: PasswordPolicy::default(),
        }
    }
}
