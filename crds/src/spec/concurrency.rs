//! `spec.gateway.concurrency`: how much the services are given at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, rules};

/// How many requests one pod of the gateway gives each service at once. What comes above it is refused at once, with 503 and `Retry-After`: bills
/// and messages first, what is read at a patient's bed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::concurrency()))]
pub struct ConcurrencySpec {
    /// Never more than so many.
    #[schemars(range(min = 1, max = 100_000))]
    pub max: u32,
    /// The limit is found from how long answers take: fewer are let through as soon as they take more than twice as long as usual. Off: it is `max`.
    pub adaptive: bool,
    /// It never comes below so many; at most `max`. Left out: 64, or `max` if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub min: Option<u32>,
    /// Answers within this time are never too slow, whatever is usual: 1ms to 60s.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1ms", "60s")))]
    pub fast: Span,
}

impl Default for ConcurrencySpec {
    fn default() -> Self {
        let default = settings::Concurrency::default();
        Self {
            max: default.max,
            adaptive: default.adaptive,
            min: None,
            fast: Span::from_millis(default.fast_ms),
        }
    }
}
