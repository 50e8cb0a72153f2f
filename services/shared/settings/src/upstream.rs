//! [`Upstream`]: where a service answers, and how its endpoints share the work and are watched.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, is_default};

/// Where a service answers and how its endpoints share the work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Its endpoints. On Kubernetes the Service (`https://<service>:<port>`), in whose place its pods are put.
    pub endpoints: Vec<Address>,
    /// The name that its certificates must have, with TLS. Absent: each endpoint's own host; of a Service's pods, the Service's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What is spoken with them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// How one is picked.
    #[serde(default)]
    pub balancing: Balancing,
    /// How the gateway asks each how it is. Absent: not at all. An only endpoint is not asked: there is no other to send to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// When one that fails is set aside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ejection: Ejection,
    /// How long the share of one that is new, or is back, grows until it is as large as the others', milliseconds. 0: it is at once.
    #[serde(default = "slow_start_ms", skip_serializing_if = "is_slow_start_ms")]
    pub slow_start_ms: u64,
    /// How many calls it is given at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub concurrency: Concurrency,
    /// The zones that an endpoint is for; whoever is not here is for all. On Kubernetes EndpointSlices say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<Address, Vec<String>>,
}

/// At these endpoints, and all else as it is if nobody says otherwise.
impl From<Vec<Address>> for Upstream {
    fn from(endpoints: Vec<Address>) -> Self {
        Self {
            endpoints,
            server_name: None,
            protocol: Protocol::default(),
            balancing: Balancing::default(),
            health_check: None,
            ejection: Ejection::default(),
            slow_start_ms: slow_start_ms(),
            concurrency: Concurrency::default(),
            zones: BTreeMap::new(),
        }
    }
}

/// What is spoken with services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// HTTP/1.1: one request at a time on a connection, and as many connections as there are requests.
    #[default]
    Http1,
    /// HTTP/2: many requests on one connection. With TLS, HTTP/1.1 with who speaks nothing else (ALPN); without, all must speak it. What it cannot
    /// carry, a WebSocket or `Expect: 100-continue`, goes by HTTP/1.1.
    Http2,
}

/// How an endpoint is asked how it is: by GET, of which the answer must be 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheck {
    /// The path asked for.
    pub path: String,
    /// From one question to the next, milliseconds; up to a tenth more or less, so that many askers do not come together.
    pub interval_ms: u64,
    /// How long an answer may take, milliseconds.
    pub timeout_ms: u64,
    /// So many bad answers in a row, and it is down. The very first answer counts alone.
    pub fall: u32,
    /// So many good answers in a row, and it is up again.
    pub rise: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { path: "/readyz".to_owned(), interval_ms: 2_000, timeout_ms: 1_000, fall: 2, rise: 1 }
    }
}

/// When an endpoint is set aside for what its answers come to. At most half are: with more, all are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ejection {
    /// After so many failures in a row: no answer in time, a broken one, or 500, 502, 503, 504. 0: never.
    pub failures: u32,
    /// After so many in a row for which there was not even a connection. 0: never.
    pub connect_failures: u32,
    /// For so long, milliseconds; twice as long each time that it comes back no better.
    pub base_ms: u64,
    /// At most for so long, milliseconds.
    pub max_ms: u64,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, connect_failures: 2, base_ms: 5_000, max_ms: 60_000 }
    }
}

/// How many calls a service is given at once by one gateway. What comes above it is 503 at once, what can wait first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "WrittenConcurrency")]
pub struct Concurrency {
    /// Never more than so many. 0: as many as come.
    pub max: u32,
    /// The limit moves with how long calls take: as soon as they take more than twice as long as usual, fewer are let through.
    pub adaptive: bool,
    /// It never comes below so many, and begins at four times as many. Left out of a file: the smaller of 64 and `max`.
    pub min: u32,
    /// Calls that take no longer than this are not too slow, whatever they usually take, milliseconds.
    pub fast_ms: u64,
}

impl Default for Concurrency {
    fn default() -> Self {
        let max = 1_024;
        Self { max, adaptive: true, min: Self::min_below(max), fast_ms: 100 }
    }
}

impl Concurrency {
    /// `min` where only `max` is said: the smaller of 64 and `max`, so that a low `max` can stand alone. Two hundred ordinary requests that come at once are
    /// let in, before anything is known of the service.
    pub const fn min_below(max: u32) -> u32 {
        if max == 0 || max > 64 { 64 } else { max }
    }
}

/// As it is written: what is left out of it may depend on what is not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenConcurrency {
    max: u32,
    adaptive: bool,
    min: Option<u32>,
    fast_ms: u64,
}

impl Default for WrittenConcurrency {
    fn default() -> Self {
        let Concurrency { max, adaptive, fast_ms, .. } = Concurrency::default();
        Self { max, adaptive, min: None, fast_ms }
    }
}

impl From<WrittenConcurrency> for Concurrency {
    fn from(WrittenConcurrency { max, adaptive, min, fast_ms }: WrittenConcurrency) -> Self {
        Self { max, adaptive, min: min.unwrap_or(Self::min_below(max)), fast_ms }
    }
}

/// How an endpoint is picked among those that are well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Balancing {
    /// In a circle.
    #[default]
    RoundRobin,
    /// Of two random ones, the one with fewer requests under way.
    LeastConnections,
    /// The lower of two random picks by peak-sensitive moving average of latency × requests under way.
    PeakEwma,
}

const fn slow_start_ms() -> u64 {
    10_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_slow_start_ms(ms: &u64) -> bool {
    *ms == slow_start_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_max_can_stand_alone_and_a_high_one_keeps_room_below() {
        for (written, min) in [("{}", 64), (r#"{"max":10}"#, 10), (r#"{"max":65}"#, 64), (r#"{"max":0}"#, 64)]
        {
            assert_eq!(serde_json::from_str::<Concurrency>(written).unwrap().min, min, "{written}");
        }
        let said: Concurrency = serde_json::from_str(r#"{"max":10,"min":11}"#).unwrap();
        assert_eq!((said.max, said.min), (10, 11), "what is said is not bent: whoever reads it refuses it");
    }
}
