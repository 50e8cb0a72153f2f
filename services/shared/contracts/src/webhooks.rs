//! Webhooks of a provider's availability: an address that is told what `GET …/availability/events` tells, signed as Standard Webhooks have it
//! (<https://www.standardwebhooks.com>). The operations stand with the appointments'.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::WebhookId;

/// So many webhooks has a provider at most.
pub const WEBHOOKS_MAX: u32 = 10;
/// The longest address.
pub const URL_BYTES_MAX: usize = 2_048;

/// A webhook asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRequest {
    /// Where events are posted: `https` at a public host, or at one that `spec.integrations.webhooks.ownHosts` names.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
}

/// A new webhook. Its secret is told once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCreated {
    /// The webhook's id.
    pub webhook_id: WebhookId,
    /// What deliveries are signed with: `whsec_` and 32 octets in Base64.
    pub secret: String,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

impl fmt::Debug for WebhookCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookCreated").field("webhook_id", &self.webhook_id).finish_non_exhaustive()
    }
}

/// How a webhook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebhookState {
    /// It is told, or there is nothing to tell.
    Active,
    /// The last attempt failed; there will be another.
    Failing,
    /// It has failed for days, or said that it is gone: it is told nothing any more.
    Disabled,
}

/// A webhook that there is. Its secret is not shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub webhook_id: WebhookId,
    /// Where events are posted.
    pub url: String,
    /// How it does.
    pub state: WebhookState,
    /// The last change that it has taken, or that there was when it was made.
    pub change: i64,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// What came of the last attempt, if it failed, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it took something last, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub delivered_at: Option<String>,
    /// When it is tried again, if it fails, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub next_attempt_at: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// By which user.
    pub created_by: String,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDeleted {
    /// The webhook's id.
    pub webhook_id: WebhookId,
    /// `Deleted`.
    pub status: String,
}

/// What is posted: the name of the event, when it was told, and its data, which is that of the stream's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent<T> {
    /// `availability`.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339 in UTC.
    pub timestamp: String,
    /// The event.
    pub data: T,
}
