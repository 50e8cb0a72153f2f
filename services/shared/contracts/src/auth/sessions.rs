//! Sessions, as they are shown and ended.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::SessionId;

/// A session: somebody who logged in somewhere and has not been logged off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id, `sid` in its tokens.
    pub session_id: SessionId,
    /// Whether it is the one that asks.
    pub is_current: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<DateTime<Utc>>,
    /// It ends if it is not refreshed by then…
    pub idle_until: DateTime<Utc>,
    /// …and by then in any case.
    pub expires_at: DateTime<Utc>,
    /// The address that it was begun from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it was begun with (`User-Agent`), if that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// Which sessions to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionFilter {
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which sessions to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhichSessions {
    /// Whether to keep the one that asks; if not given, it ends too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_current: Option<bool>,
}

/// The answer to a session's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsRevoked {
    /// `Revoked`.
    pub status: String,
}
