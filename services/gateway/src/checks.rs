//! Asking endpoints how they are: one asker for each endpoint, whatever the number of threads and routes. What it finds goes into the
//! endpoint's [`Health`](resilience::health::Health), where those who send see it in one look.
//!
//! Askers live on the runtime that the gateway was started on, and keep a connection each: what is asked for is whether the endpoint
//! answers, not whether it can be greeted. Not here: what requests say of an endpoint (`forward.rs`).

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_kit::stop::Phase;
use settings::HealthCheck;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::body::Outgoing;
use crate::gateway::Core;
use crate::kept::Member;
use crate::snapshot::Snapshot;
use crate::upstream::{Ask, Connection, Endpoint};

/// Who asks, for the service's log.
const ASKER: HeaderValue = HeaderValue::from_static("healthcare-gateway/health-check");
/// Nobody says more than this about how they are; a connection with more on it is given up.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One endpoint, asked for as long as this lives.
struct Asker {
    endpoint: Arc<Endpoint>,
    check: HealthCheck,
    task: JoinHandle<()>,
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.health.not_asked(Instant::now());
    }
}

/// Keeps an asker for each endpoint that the configuration in force wants asked, until the gateway is gone.
pub(crate) async fn run(core: Weak<Core>) {
    let mut askers: Vec<Asker> = Vec::new();
    loop {
        let Some(there) = core.upgrade() else { return };
        settle(&mut askers, &there);
        let (changed, mut phase) = (Arc::clone(&there.changed), there.phase.clone());
        drop(there);
        tokio::select! {
            () = changed.notified() => {}
            // Whoever could tell is gone.
            _ = phase.wait_for(|phase| *phase == Phase::Ended) => return,
        }
    }
}

fn settle(askers: &mut Vec<Asker>, core: &Arc<Core>) {
    let wanted = wanted(&core.snapshot.load());
    let is_same = |asker: &Asker, wanted: &Wanted| {
        Arc::ptr_eq(&asker.endpoint, &wanted.member.endpoint) && asker.check == wanted.check
    };
    askers.retain(|asker| wanted.iter().any(|wanted| is_same(asker, wanted)));
    for wanted in wanted {
        if askers.iter().any(|asker| is_same(asker, &wanted)) {
            continue;
        }
        let (endpoint, check) = (Arc::clone(&wanted.member.endpoint), wanted.check.clone());
        let task = tokio::spawn(ask_on(Arc::downgrade(core), wanted));
        askers.push(Asker { endpoint, check, task });
    }
}

/// An endpoint that is to be asked, and how.
struct Wanted {
    service: Arc<str>,
    member: Arc<Member>,
    check: HealthCheck,
}

/// Every endpoint that is to be asked, once.
fn wanted(snapshot: &Snapshot) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for lane in snapshot.lanes.iter().filter(|lane| lane.balancer.len() > 1) {
        let Some(check) = lane.health_check() else { continue };
        for (member, _) in lane.balancer.endpoints() {
            if !wanted.iter().any(|known| Arc::ptr_eq(&known.member.endpoint, &member.endpoint)) {
                let (service, member) = (Arc::clone(&lane.service), Arc::clone(member));
                wanted.push(Wanted { service, member, check: check.clone() });
            }
        }
    }
    wanted
}

/// Asks again and again, and tells the endpoint's health.
async fn ask_on(core: Weak<Core>, Wanted { service, member, check }: Wanted) {
    let Member { endpoint, address, .. } = &*member;
    // It was checked that this is a path.
    let Ok(path) = check.path.parse::<Uri>() else { return };
    let interval = Duration::from_millis(check.interval_ms);
    let (mut connection, mut good, mut bad) = (None, 0_u32, None::<u32>);
    // Those that are new together are not asked together.
    let mut pause = interval / 2;
    loop {
        let Some(roll) = core.upgrade().map(|core| core.roll()) else { return };
        tokio::time::sleep(jittered(pause, roll, bad.is_none())).await;
        pause = interval;
        let asked = ask(endpoint, &path, &mut connection);
        let is_well = timeout(Duration::from_millis(check.timeout_ms), asked).await.unwrap_or(false);
        if is_well {
            (good, bad) = (good.saturating_add(1), Some(0));
            if good >= check.rise && endpoint.health.found_well(Instant::now()) {
                tracing::info!(%service, endpoint = %address, "an endpoint says that it is well again");
            }
        } else {
            // What was asked on it may still be under way.
            connection = None;
            // One that was never well has nothing to lose.
            let before = bad.unwrap_or(check.fall);
            (good, bad) = (0, Some(before.saturating_add(1)));
            if before.saturating_add(1) >= check.fall && endpoint.health.found_unwell() {
                tracing::warn!(%service, endpoint = %address, "an endpoint does not say that it is well");
            }
        }
    }
}

/// The first time anywhere within the pause; later, a tenth more or less.
fn jittered(pause: Duration, roll: u64, is_first: bool) -> Duration {
    let thousandth = u32::try_from(roll % 1_000).unwrap_or(0);
    if is_first { pause * thousandth / 1_000 } else { pause * 9 / 10 + pause * thousandth / 5_000 }
}

/// Whether it says that it is well, on the connection that was kept, or on a new one if that has been closed.
async fn ask(endpoint: &Endpoint, path: &Uri, kept: &mut Option<Connection>) -> bool {
    if let Some(mut connection) = kept.take()
        && connection.is_idle()
        && let Some(is_well) = ask_on_one(endpoint, path, &mut connection).await
    {
        *kept = Some(connection);
        return is_well;
    }
    let Ok(mut connection) = endpoint.connect().await else { return false };
    let Some(is_well) = ask_on_one(endpoint, path, &mut connection).await else { return false };
    *kept = Some(connection);
    is_well
}

/// `None`: there was no whole answer.
async fn ask_on_one(endpoint: &Endpoint, path: &Uri, connection: &mut Connection) -> Option<bool> {
    let headers = HeaderMap::from_iter([(USER_AGENT, ASKER)]);
    let ask = Ask { method: &Method::GET, uri: path, headers: &headers, own: None };
    let answer = connection.send(&ask, &endpoint.host, Outgoing::Empty, None).await.ok()?;
    let is_well = answer.status().is_success();
    read(connection).await.then_some(is_well)
}

/// Reads the rest of an answer.
async fn read(connection: &mut Connection) -> bool {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| connection.poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > ANSWER_BYTES_MAX {
            return false;
        }
    }
    true
}
