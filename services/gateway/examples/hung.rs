//! What those notice who ask a service that is well, while another one behind the same gateway takes requests and never answers: the gateway as it is,
//! on threads of its own, and real connections. `make bench-gateway PARTS=hung` runs it and writes what it prints into the docs.
//!
//!     cargo run --release -p gateway --example hung -- [rounds] [seconds] [requests a second, of each service]
//!
//! Prints JSON. How it asks: `load/mod.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use settings::GatewayConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[path = "load/mod.rs"]
mod load;

use load::{Clients, Dice, Fallible, Takes, at};

/// What a good answer takes.
const WELL: Takes = Some((1_000, 3_000));
const WAYS: [(&str, Takes); 2] = [("well", WELL), ("hung", None)];
const DEADLINE_MS: u64 = 500;

fn main() -> Fallible<()> {
    load::run(all)
}

/// Rounds are interleaved, so that what else the machine does falls on both alike.
async fn all(rounds: u64, time: Duration, rate: u64) -> Fallible<Value> {
    let mut rows: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for round in 0..rounds {
        for (name, takes) in WAYS {
            rows.entry(name).or_default().push(one(takes, time, rate, round).await?);
        }
    }
    let rows = WAYS.map(|(name, _)| json!({ "name": name, "rounds": rows[name] }));
    Ok(json!({ "rate": rate, "deadline_ms": DEADLINE_MS, "rows": rows }))
}

/// Both services asked at once, for so long, through a gateway that knows neither.
async fn one(provider_takes: Takes, time: Duration, rate: u64, seed: u64) -> Fallible<Value> {
    let mut services = JoinSet::new();
    let (patients, providers) =
        (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let config = config(&patients, &providers)?;
    let arrived = Arc::new(AtomicUsize::new(0));
    services.spawn(load::serve(patients, WELL, Dice::new(seed * 100), Arc::default()));
    services.spawn(load::serve(providers, provider_takes, Dice::new(seed * 100 + 1), Arc::clone(&arrived)));
    let gateway = load::start(config).await?;
    let ask = |path, seed| {
        let clients = Clients::of(gateway.local_addr(), path);
        async move { load::load(&clients, &mut Dice::new(seed), time, rate).await }
    };
    let (patients, providers) =
        tokio::try_join!(ask("/patients", seed + 7_777), ask("/providers", seed + 8_888))?;
    gateway.stop().await;
    if let Some((status, _)) = patients.iter().find(|(status, _)| *status != 200) {
        return Err(format!("an answer of the service that is well is {status}").into());
    }
    let count = |status: u16| providers.iter().filter(|(came, _)| *came == status).count();
    let sorted = |came: &[(u16, Duration)]| {
        let mut took: Vec<Duration> = came.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        took
    };
    let (took, provider_took) = (sorted(&patients), sorted(&providers));
    Ok(json!({
        "requests": took.len(), "p50_ms": at(&took, 50), "p99_ms": at(&took, 99),
        "provider_requests": providers.len(), "provider_arrived": arrived.load(Ordering::Relaxed),
        "provider_200": count(200), "provider_503": count(503), "provider_504": count(504),
        "provider_p50_ms": at(&provider_took, 50), "provider_p99_ms": at(&provider_took, 99),
    }))
}

/// A stack's own terms: two further attempts within a budget of a fifth, and a breaker.
fn config(patients: &TcpListener, providers: &TcpListener) -> Fallible<GatewayConfig> {
    let route = |path: &str, service: &str| {
        json!({"method": "GET", "path": path, "service": service, "access": "public", "timeoutMs": DEADLINE_MS,
            "retries": {"attempts": 2}, "circuitBreaker": {}})
    };
    let upstream = |listener: &TcpListener| {
        Ok::<_, std::io::Error>(json!({ "endpoints": [format!("http://{}", listener.local_addr()?)] }))
    };
    Ok(serde_json::from_value(json!({
        "routes": [route("/patients", "patient-service"), route("/providers", "provider-service")],
        "upstreams": {"patient-service": upstream(patients)?, "provider-service": upstream(providers)?},
        "auth": {"issuer": "i", "audience": "a", "service": "auth-service"},
        "rateLimits": {}, "bodyBytesMax": 1024, "accessLog": false,
    }))?)
}
