//! Endpoints that go and come back: one of two, many times a second; and all of them together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use settings::{Breaker, Ejection, Method, Route};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{RETRIES, ask, before, metric};
use crate::backend::Backend;
use crate::house::{House, public};
use crate::wire::Client;

const PERIOD: Duration = Duration::from_millis(200);
const LASTS: Duration = Duration::from_secs(4);

/// How often each request arrived, by its own number.
type Arrivals = Arc<Mutex<BTreeMap<String, usize>>>;

/// Notes what comes, takes a moment, and answers.
fn noting(listener: TcpListener, arrivals: &Arrivals) -> Backend {
    let arrivals = Arc::clone(arrivals);
    Backend::on(listener, move |request, _| {
        let arrivals = Arc::clone(&arrivals);
        async move {
            let number = request.headers()["x-number"].to_str().unwrap().to_owned();
            *arrivals.lock().unwrap().entry(number).or_default() += 1;
            let _ = request.into_body().collect().await;
            sleep(Duration::from_millis(3)).await;
            Response::new(Full::new(Bytes::from_static(b"ok")))
        }
    })
}

/// What came of the requests of one client that asks in one way until it is over.
async fn ask_on(
    address: SocketAddr,
    (method, key, name): (&'static str, bool, &'static str),
    is_over: Arc<AtomicBool>,
) -> BTreeMap<u16, usize> {
    let mut came = BTreeMap::new();
    let mut client = Client::connect(address).await;
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let number = format!("{name}-{number}");
        let headers = [("x-number", &*number), ("idempotency-key", &*number)];
        let headers = if key { &headers[..] } else { &headers[..1] };
        let answer = ask(&mut client, address, (method, "/x"), headers).await;
        *came.entry(answer.status).or_default() += 1;
    }
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_that_comes_and_goes_fails_no_request_that_may_be_repeated() {
    let arrivals: Arrivals = Arc::default();
    let (stays, flaps) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = flaps.local_addr().unwrap();
    let steady = noting(stays, &arrivals);
    let mut flapping = Some(noting(flaps, &arrivals));
    let flapping_address = flapping.as_ref().unwrap().address.clone();
    let routes = [Method::Get, Method::Put, Method::Post]
        .map(|method| Route { retries: Some(RETRIES), ..public(method, "/x") });
    let mut config = before(vec![steady.address.clone(), flapping_address], routes.into());
    // So short that it is met again and again.
    config.upstreams.get_mut("patient-service").unwrap().ejection =
        Ejection { base_ms: 50, max_ms: 50, ..Ejection::default() };
    let house = House::with(config).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let ways =
        [("GET", false, "get"), ("PUT", false, "put"), ("POST", true, "keyed"), ("POST", false, "blind")];
    let clients: Vec<_> = ways
        .into_iter()
        .map(|way| (way.2, tokio::spawn(ask_on(house.address, way, Arc::clone(&is_over)))))
        .collect();
    let begun = Instant::now();
    let mut times_down = 0;
    while begun.elapsed() < LASTS {
        sleep(PERIOD).await;
        flapping = match flapping.take() {
            Some(there) => {
                drop(there);
                times_down += 1;
                None
            }
            None => Some(noting(TcpListener::bind(port).await.unwrap(), &arrivals)),
        };
    }
    is_over.store(true, Ordering::SeqCst);

    let (mut asked, mut failed_writes) = (0, 0);
    for (name, client) in clients {
        let came = client.await.unwrap();
        asked += came.values().sum::<usize>();
        if name == "blind" {
            let failed: usize =
                came.iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum();
            assert!(came.keys().all(|status| matches!(status, 200 | 503)), "{came:?}");
            failed_writes = failed;
        } else {
            assert_eq!(came.keys().collect::<Vec<_>>(), [&200], "{name}: {came:?}");
        }
    }
    let arrivals = arrivals.lock().unwrap();
    let twice: Vec<_> =
        arrivals.iter().filter(|(number, count)| number.starts_with("blind") && **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let arrived: usize = arrivals.values().sum();
    let retries = metric(&house, "retries_total", None).unwrap();
    println!(
        "{times_down} times down: {asked} requests, {arrived} arrivals, {retries} repetitions, {failed_writes} writes told that they may have happened"
    );
    assert!(times_down >= 4 && retries >= times_down, "it was not met while it was away");
    assert!(arrived * 10 <= asked * 12, "{arrived} arrivals of {asked} requests");
}

/// A backend whose status can be changed.
async fn changing(status: &Arc<AtomicU16>) -> Backend {
    let status = Arc::clone(status);
    Backend::answering(move |_| {
        let status = status.load(Ordering::SeqCst);
        async move {
            let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        }
    })
    .await
}

/// More than half are unwell, so nobody is set aside; then the breakers are all there is.
#[tokio::test]
async fn with_all_replicas_sick_the_breakers_shield_them_and_a_few_probes_bring_them_back() {
    const PROBES: usize = 2;
    const REST: Duration = Duration::from_millis(400);
    let status = Arc::new(AtomicU16::new(500));
    let replicas = [changing(&status).await, changing(&status).await, changing(&status).await];
    let breaker = Breaker {
        window_calls: 10,
        min_calls: 5,
        open_ms: u64::try_from(REST.as_millis()).unwrap(),
        half_open_calls: u32::try_from(PROBES).unwrap(),
        ..Breaker::default()
    };
    let route = Route { circuit_breaker: Some(breaker), ..public(Method::Get, "/x") };
    let mut config = before(replicas.iter().map(|replica| replica.address.clone()).collect(), vec![route]);
    // Set aside they would not be asked until that is over: here it is the breakers that are looked at.
    config.upstreams.get_mut("patient-service").unwrap().ejection =
        Ejection { failures: 0, connect_failures: 0, ..Ejection::default() };
    let house = House::with(config).await;
    let mut client = house.client().await;
    let asked = || replicas.iter().map(|replica| replica.requests().len()).sum::<usize>();
    let begun = Instant::now();
    let mut refused = 0;
    for _ in 0..200 {
        let answer = client.ask("GET", "/x", &[], "").await;
        if answer.status == 503 {
            answer.assert_problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some());
            refused += 1;
        } else {
            assert_eq!(answer.status, 500, "as the service says it");
        }
    }
    // Five calls open a breaker. When a rest is over somebody may be asked, and then all are (more than half are unwell), until that probe fails.
    let rests = usize::try_from(begun.elapsed().as_millis() / REST.as_millis()).unwrap() + 1;
    assert!(asked() <= 3 * 5 + rests * 9, "{} of 200 came through in {rests} rests", asked());
    assert_eq!(refused, 200 - asked());
    for replica in &replicas {
        assert_eq!(metric(&house, "breaker_state", Some(&replica.address)), Some(2));
    }

    status.store(200, Ordering::SeqCst);
    let (before, since) = (asked(), Instant::now());
    let mut answered = 0;
    let is_closed = |replica: &Backend| metric(&house, "breaker_state", Some(&replica.address)) == Some(0);
    while !replicas.iter().all(is_closed) {
        match client.ask("GET", "/x", &[], "").await.status {
            200 => answered += 1,
            status => assert_eq!(status, 503),
        }
        sleep(Duration::from_millis(2)).await;
        assert!(since.elapsed() < Duration::from_secs(20), "nobody is probed");
    }
    println!("all are well again after {:?} and {answered} requests", since.elapsed());
    assert_eq!(asked(), before + answered, "no probe failed");
    assert!((3 * PROBES..60).contains(&answered), "counted in probes, not in time: {answered}");
}

/// One of three is well. Nobody is spared for it: it would fall under the work of three.
#[tokio::test]
async fn the_one_that_is_well_among_three_is_not_given_the_work_of_three() {
    let (sick, well) = (Arc::new(AtomicU16::new(500)), Arc::new(AtomicU16::new(200)));
    let replicas = [changing(&sick).await, changing(&sick).await, changing(&well).await];
    let breaker = Breaker { window_calls: 4, min_calls: 4, open_ms: 60_000, ..Breaker::default() };
    let route = Route { circuit_breaker: Some(breaker), ..public(Method::Get, "/x") };
    let config = before(replicas.iter().map(|replica| replica.address.clone()).collect(), vec![route]);
    let house = House::with(config).await;
    let mut client = house.client().await;
    let mut good = 0;
    for _ in 0..90 {
        good += usize::from(client.ask("GET", "/x", &[], "").await.status == 200);
    }
    assert_eq!(replicas[2].requests().len(), good);
    assert!(
        (28..=40).contains(&good),
        "a third, and what came while the others were being found out: {good}"
    );
}
