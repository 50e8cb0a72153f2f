//! What the typed clients do when the other side fails, over real TCP.

mod breaker;
mod deadline;
mod peer;
mod retries;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::ambient::Random;
use contracts::client::{ClientError, ClientMetrics, Transport};
use contracts::endpoint::{Access, Encoding, Endpoint, Operation, schema_of};
use prometheus_client::registry::Registry;
use settings::{Address, Breaker, Method, Retries, ServiceCalls};

use peer::{Does, Peer};

macro_rules! operation {
    ($name:ident, $id:literal, $method:ident) => {
        struct $name;

        impl Endpoint for $name {
            const OPERATION: &'static Operation = &Operation {
                id: $id,
                service: None,
                tag: "Tests",
                summary: "",
                method: Method::$method,
                path: "/thing",
                access: Access::Public,
                status: 200,
                audited: false,
                query: None,
                body: None,
                encoding: Encoding::Json,
                reply: schema_of::<u32>,
                media_type: "application/json",
            };
            type Path = ();
            type Query = ();
            type Body = ();
            type Reply = u32;
        }
    };
}

operation!(Look, "look", Get);
operation!(Replace, "replace", Put);
operation!(Make, "make", Post);
operation!(Mend, "mend", Patch);

/// Calls one address, on terms of its own, and counts.
struct Caller {
    transport: Arc<Transport>,
    registry: Registry,
}

impl Caller {
    fn new(address: &str, calls: &ServiceCalls) -> Self {
        let metrics = ClientMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let address = Address(format!("http://{address}"));
        let target = metrics.target("provider-service");
        let transport =
            Transport::on(calls, target, &address, None, Arc::new(String::new), Random::seeded(7)).unwrap();
        Self { transport, registry }
    }

    async fn ask<E: Endpoint<Query = (), Body = (), Reply = u32>>(&self) -> Result<u32, ClientError> {
        self.transport.call::<E>(&[], &(), &()).await
    }

    async fn look(&self) -> Result<u32, ClientError> {
        self.ask::<Look>().await
    }

    /// A number on the metrics page; 0 if it is not there.
    fn metric(&self, line: &str) -> u64 {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry).unwrap();
        page.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
    }

    fn calls(&self, outcome: &str) -> u64 {
        self.metric(&format!("client_calls_total{{target=\"provider-service\",outcome=\"{outcome}\"}}"))
    }

    fn retries(&self, outcome: &str) -> u64 {
        self.metric(&format!("client_retries_total{{target=\"provider-service\",outcome=\"{outcome}\"}}"))
    }

    fn breaker(&self) -> u64 {
        self.metric("client_breaker_state{target=\"provider-service\"}")
    }

    fn in_flight(&self) -> u64 {
        self.metric("client_in_flight{target=\"provider-service\"}")
    }
}

/// The usual terms, with pauses that a test can wait for, and a breaker that does not get in the way.
fn patient() -> ServiceCalls {
    ServiceCalls {
        timeout_ms: 3_000,
        attempt_timeout_ms: 2_000,
        retries: Retries { base_backoff_ms: 5, max_backoff_ms: 20, ..ServiceCalls::default().retries },
        circuit_breaker: Breaker {
            window_calls: 10_000,
            min_calls: 10_000,
            consecutive_failures: 0,
            ..ServiceCalls::default().circuit_breaker
        },
        ..ServiceCalls::default()
    }
}

/// The same with a breaker that opens after three failures in a row, for so long.
fn wary(open_ms: u64) -> ServiceCalls {
    let calls = patient();
    let circuit_breaker =
        Breaker { consecutive_failures: 3, open_ms, half_open_calls: 1, ..calls.circuit_breaker };
    ServiceCalls { retries: Retries { attempts: 0, ..calls.retries }, circuit_breaker, ..calls }
}
