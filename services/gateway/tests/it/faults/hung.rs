//! The provider service hangs: it takes requests, and says nothing. Beside it the patient service is well, and must not notice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Breaker, Method, Route, RouteAccess};
use tokio::time::sleep;

use super::{RETRIES, ask, before, metric, says};
use crate::backend::{Backend, eventually};
use crate::house::{House, public};
use crate::wire::Client;

const DEADLINE_MS: u64 = 200;
const REST: Duration = Duration::from_millis(500);
const PROBES: u32 = 2;
const MIN_CALLS: u32 = 10;
const LASTS: Duration = Duration::from_secs(3);

/// How far the story is.
const WELL: u8 = 0;
const HUNG: u8 = 1;
const OVER: u8 = 2;

/// A service that hangs when it is told to, and notes which requests came to it.
async fn provider(hangs: &Arc<AtomicBool>, arrivals: &Arc<Mutex<BTreeMap<String, usize>>>) -> Backend {
    let (hangs, arrivals) = (Arc::clone(hangs), Arc::clone(arrivals));
    Backend::answering(move |request| {
        let number = request.headers()["x-number"].to_str().unwrap().to_owned();
        *arrivals.lock().unwrap().entry(number).or_default() += 1;
        let hangs = hangs.load(Ordering::SeqCst);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Response::new(Full::new(Bytes::from_static(b"{}")))
        }
    })
    .await
}

/// What one client saw while the service was well, and while it hung.
#[derive(Default)]
struct Saw {
    statuses: [BTreeMap<u16, usize>; 2],
    took: [Vec<Duration>; 2],
}

/// Asks in one way, from the beginning to the end.
async fn ask_on(
    address: SocketAddr,
    way: (&'static str, &'static str, bool),
    name: String,
    stage: Arc<AtomicU8>,
) -> Saw {
    let (method, path, key) = way;
    let mut saw = Saw::default();
    let mut client = Client::connect(address).await;
    for number in 0.. {
        let at = stage.load(Ordering::SeqCst);
        if at == OVER {
            break;
        }
        let number = format!("{name}-{number}");
        let headers = [("x-number", &*number), ("idempotency-key", &*number)];
        let headers = if key { &headers[..] } else { &headers[..1] };
        let begun = Instant::now();
        let status = ask(&mut client, address, (method, path), headers).await.status;
        // What began while it was well may have met it hung.
        if stage.load(Ordering::SeqCst) == at {
            *saw.statuses[usize::from(at)].entry(status).or_default() += 1;
            saw.took[usize::from(at)].push(begun.elapsed());
        }
        sleep(Duration::from_millis(4)).await;
    }
    saw
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() * 99 / 100]
}

fn config(provider: &Backend, patient: &Backend) -> settings::GatewayConfig {
    let breaker = Breaker {
        window_calls: 20,
        min_calls: MIN_CALLS,
        open_ms: u64::try_from(REST.as_millis()).unwrap(),
        half_open_calls: PROBES,
        ..Breaker::default()
    };
    let mut routes = vec![public(Method::Get, "/patients")];
    routes.extend([Method::Get, Method::Post].map(|method| Route {
        retries: Some(RETRIES),
        circuit_breaker: Some(breaker),
        ..Route::new(method, "/providers", "provider-service", RouteAccess::Public, DEADLINE_MS)
    }));
    let mut config = before(vec![patient.address.clone()], routes);
    config.upstreams.insert("provider-service".to_owned(), vec![provider.address.clone()].into());
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_hangs_costs_its_own_callers_a_deadline_and_nobody_else_anything() {
    let (hangs, arrivals) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let provider = provider(&hangs, &arrivals).await;
    let patient = Backend::echo().await;
    let house = House::with(config(&provider, &patient)).await;
    let stage = Arc::new(AtomicU8::new(WELL));
    let ways = [
        ("GET", "/providers", false),
        ("POST", "/providers", false),
        ("POST", "/providers", true),
        ("GET", "/patients", false),
    ];
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let way = ways[number % ways.len()];
            (way, tokio::spawn(ask_on(house.address, way, format!("{number}"), Arc::clone(&stage))))
        })
        .collect();
    let to_provider = clients.iter().filter(|(way, _)| way.1 == "/providers").count();

    sleep(LASTS).await;
    let before = arrivals.lock().unwrap().values().sum::<usize>();
    hangs.store(true, Ordering::SeqCst);
    stage.store(HUNG, Ordering::SeqCst);
    let hung_since = Instant::now();
    says(&house, "breaker_state", &provider.address, 2, Duration::from_secs(10)).await;
    sleep(LASTS).await;
    stage.store(OVER, Ordering::SeqCst);
    let hung_for = hung_since.elapsed();

    let (mut quiet, mut busy, mut asked) = (Vec::new(), Vec::new(), 0);
    let mut came = BTreeMap::<u16, usize>::new();
    for (way, client) in clients {
        let saw = client.await.unwrap();
        let [well, hung] = saw.statuses;
        assert_eq!(well.keys().collect::<Vec<_>>(), [&200], "{way:?} while all is well");
        if way.1 == "/patients" {
            assert_eq!(
                hung.keys().collect::<Vec<_>>(),
                [&200],
                "whoever asks another service notices nothing"
            );
            let [first, second] = saw.took;
            quiet.extend(first);
            busy.extend(second);
        } else {
            asked += hung.values().sum::<usize>();
            for (status, count) in hung {
                *came.entry(status).or_default() += count;
            }
        }
    }
    let arrived = arrivals.lock().unwrap().values().sum::<usize>() - before;
    let (quiet, busy) = (p99(quiet), p99(busy));
    println!(
        "hung for {hung_for:?}: {asked} asked, {arrived} arrived, {came:?}; p99 of another service's route {quiet:?} before, {busy:?} meanwhile: {:.2} times",
        busy.as_secs_f64() / quiet.as_secs_f64()
    );
    assert!(came.keys().all(|status| matches!(status, 200 | 503 | 504)), "{came:?}");
    // Those on their way when it begins and those that come before the first deadline, what it takes to open the breaker, and the probes of each rest.
    let rests = usize::try_from(hung_for.as_millis() / REST.as_millis()).unwrap() + 1;
    let bound = 2 * to_provider + MIN_CALLS as usize + rests * PROBES as usize;
    assert!(
        arrived <= bound,
        "{arrived} requests reached a service that hangs, of {asked}; at most {bound} would do"
    );
    assert!(came[&503] > came[&504], "most were told at once: {came:?}");
    let is_once = arrivals.lock().unwrap().values().all(|count| *count == 1);
    assert!(is_once, "nothing was sent twice: a deadline leaves no time to repeat");
    recovers(&house, &provider, &hangs).await;
}

/// Well again, it is found out by probes, and by as few as are asked for.
async fn recovers(house: &House, provider: &Backend, hangs: &AtomicBool) {
    // Probes that went out while it hung are over by then.
    sleep(Duration::from_millis(DEADLINE_MS * 2)).await;
    eventually("nobody waits any more", || metric(house, "requests_in_flight", None) == Some(0)).await;
    hangs.store(false, Ordering::SeqCst);
    let (since, before) = (Instant::now(), provider.requests().len());
    let mut client = house.client().await;
    let mut refused = 0;
    while client.ask("GET", "/providers", &[("x-number", "probe")], "").await.status != 200 {
        refused += 1;
        assert!(since.elapsed() < Duration::from_secs(10), "nobody is probed");
        sleep(Duration::from_millis(5)).await;
    }
    println!("well again: the first probe after {:?}, {refused} refused until then", since.elapsed());
    assert_eq!(provider.requests().len(), before + 1, "the first that came through was answered");
    for number in 1..20 {
        let status = client.ask("GET", "/providers", &[("x-number", "after")], "").await.status;
        assert_eq!(status, 200, "request {number} after the first probe");
    }
    assert_eq!(metric(house, "breaker_state", Some(&provider.address)), Some(0));
}
