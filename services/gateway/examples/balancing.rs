//! How the three ways of balancing fare with a service of five endpoints of which one is ten times slower than the others: the gateway as
//! it is, on threads of its own, and real connections. `make bench-gateway PARTS=balancing` runs it and writes what it prints into the docs.
//!
//!     cargo run --release -p gateway --example balancing -- [rounds] [seconds] [requests a second]
//!
//! Requests come when they come (a Poisson process), whether or not earlier ones were answered, and each is timed from the moment at which it
//! was due: a client that waits for one answer before it asks again would hide what the slow endpoint does. Prints JSON.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::ambient::{Clock, Random};
use contracts::auth::JwkSet;
use gateway::{Gateway, GatewayWorld, Listener};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use http_kit::keys::KeyRing;
use http_kit::token::Verifier;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use settings::{Address, Balancing, GatewayConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use traces::Tracer;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

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
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (rounds, seconds, rate) = (next(5)?, next(8)?, next(500)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let found = runtime.block_on(all(rounds, Duration::from_secs(seconds), rate))?;
    println!("{found}");
    Ok(())
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
        services.spawn(serve(socket, times, Dice::new(seed * 100 + number as u64), count));
    }
    let gateway = start(balancing, &endpoints).await?;
    let clients = Arc::new(Clients { address: gateway.local_addr(), idle: Mutex::default() });
    let mut dice = Dice::new(seed + 7_777);
    load(&clients, &mut dice, WARM_UP, rate).await?;
    for count in &asked {
        count.store(0, Ordering::Relaxed);
    }
    let mut took = load(&clients, &mut dice, time, rate).await?;
    took.sort_unstable();
    gateway.stop().await;
    let soon = took.partition_point(|took| *took < SOON);
    let slow = asked.last().map_or(0, |count| count.load(Ordering::Relaxed));
    let at = |percent: usize| took.get(took.len() * percent / 100).map(|took| millis(*took));
    Ok(json!({
        "requests": took.len(),
        "soon_percent": percent(soon, took.len()),
        "slow_percent": percent(slow, took.len()),
        "p50_ms": at(50), "p99_ms": at(99), "max_ms": took.last().map(|took| millis(*took)),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
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
    let clock = Clock::system();
    let keys = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let verifier = Arc::new(Verifier::new("i", "a", keys, Arc::default(), clock.clone()));
    let metrics = http_kit::telemetry::Metrics::default();
    let (random, tracer) = (Random::system(), Tracer::off());
    let world = GatewayWorld { clock, random, verifier, metrics, tracer, credentials: None, secrets: None };
    let sockets = http_kit::listen::listen_shared("127.0.0.1:0".parse()?, 2)?;
    Ok(Gateway::start(config, Listener::on_threads(sockets), world).await?)
}

/// Answers at a socket, so many times slower than others.
async fn serve(socket: TcpListener, times: u64, dice: Dice, count: Arc<AtomicUsize>) {
    let dice = Arc::new(Mutex::new(dice));
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        let (dice, count) = (Arc::clone(&dice), Arc::clone(&count));
        let answer = service_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let (least, most) = TAKES_US;
            let us = least + dice.lock().unwrap_or_else(PoisonError::into_inner).roll() % (most - least);
            async move {
                tokio::time::sleep(Duration::from_micros(us * times)).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// Connections to the gateway, as many as are needed at a time.
struct Clients {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Clients {
    async fn ask(&self) -> Fallible<()> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sender = if let Some(sender) = idle {
            sender
        } else {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        };
        let request = Request::get("/x").header("host", "gateway").body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        if answer.status() != 200 {
            return Err(format!("an answer is {}", answer.status()).into());
        }
        answer.into_body().collect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(())
    }
}

/// Asks for so long at that rate; what each took, from when it was due.
async fn load(clients: &Arc<Clients>, dice: &mut Dice, time: Duration, rate: u64) -> Fallible<Vec<Duration>> {
    let begun = Instant::now();
    let mut due = begun;
    let mut under_way = JoinSet::new();
    loop {
        due += dice.pause(rate);
        if due > begun + time {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let clients = Arc::clone(clients);
        under_way.spawn(async move { clients.ask().await.map(|()| due.elapsed()) });
    }
    under_way.join_all().await.into_iter().collect()
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From one request to the next, where so many come in a second and none knows of the others.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty")]
    fn pause(&mut self, rate: u64) -> Duration {
        let uniform = ((self.roll() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() / rate as f64)
    }
}
