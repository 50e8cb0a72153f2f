//! [`Tunnel`]: a connection that became a WebSocket (RFC 6455), from the answer that said so to its end.
//!
//! From there on bytes pass as they are. The gateway sees to it that the tunnel ends: when nothing has passed for long, when the token that
//! opened it is not good any more, and when the gateway stops, which is at the first moment of quiet.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_kit::stop::Phase;
use http_kit::token::Caller;
use prometheus_client::metrics::gauge::Gauge;
use resilience::balance::Pick;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep, timeout};

use crate::forward::Answering;
use crate::gateway::Core;
use crate::kept::Member;
use crate::upstream::Stream;

/// A tunnel through which nothing has passed for this long is given up. WebSocket peers that mean to stay say `ping` more often.
const IDLE_MAX: Duration = Duration::from_mins(2);
/// So often it is looked whether it may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nobody is in the middle of something who has said nothing for this long.
const QUIET: Duration = Duration::from_millis(200);
/// What is on its way when one side has hung up arrives within this time.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 8 * 1024;

/// The service's side of it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    answering: Answering,
    caller: Option<Arc<Caller>>,
    open: Open,
}

/// Counted for as long as it lives.
#[derive(Debug)]
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Tunnel {
    pub(crate) fn new(core: &Core, answering: Answering, caller: Option<Arc<Caller>>) -> Self {
        core.meters.tunnels.inc();
        Self { answering, caller, open: Open(core.meters.tunnels.clone()) }
    }

    /// Passes on what comes from either side until one has said its last, or the tunnel must end. `early`: what the client has said already.
    pub(crate) async fn run<S>(self, core: &Core, client: S, early: &[u8])
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let Self { answering, caller, open } = self;
        let Some((service, read, pick)) = answering.into_stream() else { return };
        let passed = AtomicU64::new(0);
        let both = exchange((client, early), (service, read), &passed);
        let mut phase = core.phase.clone();
        tokio::select! {
            () = both => {}
            () = idle(&passed) => {}
            () = barred(core, caller.as_deref()) => {}
            () = async {
                let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
                quiet(&passed).await;
            } => {}
        }
        drop::<(Pick<Arc<Member>>, Open)>((pick, open));
    }
}

async fn exchange<S>((client, early): (S, &[u8]), (service, read): (Stream, Bytes), passed: &AtomicU64)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (from_client, to_client) = split(client);
    let (from_service, to_service) = split(service);
    let up = pass(early, from_client, to_service, passed);
    let down = pass(&read, from_service, to_client, passed);
    let (mut up, mut down) = (pin!(up), pin!(down));
    // A WebSocket says goodbye in its own words: when one side has hung up, nothing is left to be said but what is on its way.
    tokio::select! {
        () = &mut up => drop(timeout(LAST_WORDS_MAX, down).await),
        () = &mut down => drop(timeout(LAST_WORDS_MAX, up).await),
    }
}

async fn pass<R: AsyncRead, W: AsyncWrite>(
    first: &[u8],
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    passed: &AtomicU64,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut written = to.write_all(first).await;
    while written.is_ok() {
        written = to.flush().await;
        let Ok(read @ 1..) = from.read(&mut buffer).await else { break };
        passed.fetch_add(1, Ordering::Relaxed);
        written = written.and(to.write_all(&buffer[..read]).await);
        passed.fetch_add(1, Ordering::Relaxed);
    }
    let _ = to.shutdown().await;
}

/// Returns when nothing has passed for long.
async fn idle(passed: &AtomicU64) {
    let (mut seen, mut since) = (0, Instant::now());
    while since.elapsed() < IDLE_MAX {
        sleep(LOOK_EVERY).await;
        let now = passed.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
}

/// Returns when whoever opened it would not be let in any more, or that cannot be said without the token, since a key has gone: a client that is
/// still welcome opens another.
async fn barred(core: &Core, caller: Option<&Caller>) {
    let Some(caller) = caller else { return std::future::pending().await };
    while matches!(core.world.verifier.again(caller), Some(Ok(()))) {
        sleep(LOOK_EVERY).await;
    }
}

/// Returns at the first moment of quiet.
async fn quiet(passed: &AtomicU64) {
    let mut seen = passed.load(Ordering::Relaxed);
    loop {
        sleep(QUIET).await;
        let now = passed.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
    }
}
