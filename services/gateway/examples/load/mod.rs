//! For examples that measure: a gateway on threads of its own, services that take a while, and requests that come when they come (a Poisson process),
//! whether or not earlier ones were answered. Each is timed from the moment at which it was due: a client that waits for one answer
//! before it asks again would hide what it is to find.

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
use serde_json::Value;
use settings::GatewayConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use traces::Tracer;

/// Whatever may go wrong while measuring.
pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures as the command line says (rounds, seconds of each, requests a second), and prints what was found.
pub(crate) fn run<F>(all: impl FnOnce(u64, Duration, u64) -> F) -> Fallible<()>
where
    F: Future<Output = Fallible<Value>>,
{
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (rounds, seconds, rate) = (next(5)?, next(8)?, next(500)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", runtime.block_on(all(rounds, Duration::from_secs(seconds), rate))?);
    Ok(())
}

/// Milliseconds, for people.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What so many percent of these, which are sorted, were not longer than.
pub(crate) fn at(took: &[Duration], percent: usize) -> Option<f64> {
    took.get(took.len() * percent / 100).map(|took| millis(*took))
}

/// A gateway on two threads.
pub(crate) async fn start(config: GatewayConfig) -> Fallible<Gateway> {
    let clock = Clock::system();
    let keys = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let verifier = Arc::new(Verifier::new("i", "a", keys, Arc::default(), clock.clone()));
    let metrics = http_kit::telemetry::Metrics::default();
    let (random, tracer) = (Random::system(), Tracer::off());
    let world = GatewayWorld { clock, random, verifier, metrics, tracer, credentials: None, secrets: None };
    let sockets = http_kit::listen::listen_shared("127.0.0.1:0".parse()?, 2)?;
    Ok(Gateway::start(config, Listener::on_threads(sockets), world).await?)
}

/// What an answer takes: any time between these, microseconds, all equally often; `None`: it never comes.
pub(crate) type Takes = Option<(u64, u64)>;

/// Answers at a socket, and counts what it is asked.
pub(crate) async fn serve(socket: TcpListener, takes: Takes, dice: Dice, count: Arc<AtomicUsize>) {
    let dice = Arc::new(Mutex::new(dice));
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        let (dice, count) = (Arc::clone(&dice), Arc::clone(&count));
        let answer = service_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let roll = dice.lock().unwrap_or_else(PoisonError::into_inner).roll();
            async move {
                let Some((least, most)) = takes else { return std::future::pending().await };
                tokio::time::sleep(Duration::from_micros(least + roll % (most - least))).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// Who asks for one path: connections to the gateway, as many as are needed at a time.
pub(crate) struct Clients {
    address: SocketAddr,
    path: &'static str,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Clients {
    /// None yet.
    pub(crate) fn of(address: SocketAddr, path: &'static str) -> Arc<Self> {
        Arc::new(Self { address, path, idle: Mutex::default() })
    }

    /// Asks once; the answer's status.
    async fn ask(&self) -> Fallible<u16> {
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
        let request = Request::get(self.path).header("host", "gateway").body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(status)
    }
}

/// Asks for so long at that rate; what each came to and took, from when it was due.
pub(crate) async fn load(
    clients: &Arc<Clients>,
    dice: &mut Dice,
    time: Duration,
    rate: u64,
) -> Fallible<Vec<(u16, Duration)>> {
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
        under_way.spawn(async move { clients.ask().await.map(|status| (status, due.elapsed())) });
    }
    under_way.join_all().await.into_iter().collect()
}

/// `SplitMix64`.
pub(crate) struct Dice(u64);

impl Dice {
    /// The same seed, the same numbers.
    pub(crate) const fn new(seed: u64) -> Self {
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
