//! How the three ways of balancing fare with a service of five endpoints of which one is ten times slower than the others: the gateway as
//! it is, on threads of its own, and real connections. `make bench-gateway PARTS=balancing` runs it and writes what it prints into the docs.
//!
//!     cargo run --release -p gateway --example balancing -- [rounds] [seconds] [requests a second]
//!
//! Prints JSON. How it asks: `load/mod.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::Gateway;
use serde_json::{Value, json};
use settings::{Address, Balancing, GatewayConfig};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[path = "load/mod.rs"]
mod load;

use load::{Clients, Dice, Fallible, at, millis};

const WAYS: [(&str, Balancing); 3] = [
    ("round robin", Balancing::RoundRobin),
    ("two choices", Balancing::LeastConnections),
    ("peak-EWMA", Balancing::PeakEwma),
];
/// What an answer takes, microseconds: any time between these, all equally often.
const TAKES_US: (u64, u64) = (10_000, 13_000);
const ENDPOINTS: usize = 5;
const TIMES_SLOWER: u64 = 10;
const SOON: Duration = Duration::from_millis(100);
/// Requests of this long before anything counts: connections are made, and what endpoints are like is found out.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> Fallible<()> {
    load::run(all)
}

/// Rounds are interleaved, so that what else the machine does falls on all alike.
async fn all(rounds: u64, time: Duration, rate: u64) -> Fallible<Value> {
    let mut rows: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for round in 0..rounds {
        for (name, balancing) in WAYS {
            rows.entry(name).or_default().push(one(balancing, time, rate, round).await?);
        }
    }
    Ok(json!({ "rate": rate, "rows": WAYS.map(|(name, _)| json!({ "name": name, "rounds": rows[name] })) }))
}

/// One way, with a gateway and endpoints that have not met before.
async fn one(balancing: Balancing, time: Duration, rate: u64, seed: u64) -> Fallible<Value> {
    let mut services = JoinSet::new();
    let mut asked = Vec::new();
    let mut endpoints = Vec::new();
    for number in 0..ENDPOINTS {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        endpoints.push(format!("http://{}", socket.local_addr()?));
        let count = Arc::new(AtomicUsize::new(0));
        asked.push(Arc::clone(&count));
        let times = if number == ENDPOINTS - 1 { TIMES_SLOWER } else { 1 };
        let takes = Some((TAKES_US.0 * times, TAKES_US.1 * times));
        services.spawn(load::serve(socket, takes, Dice::new(seed * 100 + number as u64), count));
    }
    let gateway = start(balancing, &endpoints).await?;
    let clients = Clients::of(gateway.local_addr(), "/x");
    let mut dice = Dice::new(seed + 7_777);
    load::load(&clients, &mut dice, WARM_UP, rate).await?;
    for count in &asked {
        count.store(0, Ordering::Relaxed);
    }
    let came = load::load(&clients, &mut dice, time, rate).await?;
    if let Some((status, _)) = came.iter().find(|(status, _)| *status != 200) {
        return Err(format!("an answer is {status}").into());
    }
    let mut took: Vec<Duration> = came.into_iter().map(|(_, took)| took).collect();
    took.sort_unstable();
    gateway.stop().await;
    let soon = took.partition_point(|took| *took < SOON);
    let slow = asked.last().map_or(0, |count| count.load(Ordering::Relaxed));
    Ok(json!({
        "requests": took.len(),
        "soon_percent": percent(soon, took.len()),
        "slow_percent": percent(slow, took.len()),
        "p50_ms": at(&took, 50), "p99_ms": at(&took, 99), "max_ms": took.last().map(|took| millis(*took)),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

async fn start(balancing: Balancing, endpoints: &[String]) -> Fallible<Gateway> {
    let mut config: GatewayConfig = serde_json::from_value(json!({
        "routes": [{"method": "GET", "path": "/x", "service": "patient-service", "access": "public", "timeoutMs": 5_000, "circuitBreaker": {}}],
        "upstreams": {"patient-service": {"endpoints": []}},
        "auth": {"issuer": "i", "audience": "a", "service": "auth-service"},
        "rateLimits": {}, "bodyBytesMax": 1024, "accessLog": false,
    }))?;
    if let Some(upstream) = config.upstreams.get_mut("patient-service") {
        upstream.balancing = balancing;
        upstream.endpoints = endpoints.iter().cloned().map(Address).collect();
    }
    load::start(config).await
}
