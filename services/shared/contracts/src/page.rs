//! Lists: every one is bounded, and goes on with an opaque cursor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stretch of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Hand this back as `cursor` for what follows; null at the end.
    pub next_cursor: Option<String>,
}

/// How many a page holds if the caller does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// How many it holds at most.
pub const LIMIT_MAX: u32 = 200;
