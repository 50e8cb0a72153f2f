//! Endpoints that fall ill, are away and come back: who is sent to meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use settings::{Address, Ejection, GatewayConfig, HealthCheck, Method, Upstream};

use crate::backend::{Backend, eventually};
use crate::house::{House, config, public};

const INTERVAL: Duration = Duration::from_millis(50);

/// A backend whose `/ready` can be told what to say, and that counts what it is asked.
struct Patient {
    backend: Backend,
    is_well: Arc<AtomicBool>,
    probes: Arc<AtomicUsize>,
    work: Arc<AtomicUsize>,
}

impl Patient {
    async fn well() -> Self {
        let is_well = Arc::new(AtomicBool::new(true));
        let (probes, work) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (says, asked, worked) = (Arc::clone(&is_well), Arc::clone(&probes), Arc::clone(&work));
        let backend = Backend::answering(move |request| {
            let is_probe = request.uri().path() == "/ready";
            if is_probe { &asked } else { &worked }.fetch_add(1, Ordering::SeqCst);
            let status = if is_probe && !says.load(Ordering::SeqCst) { 503 } else { 200 };
            async move {
                let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            }
        })
        .await;
        Self { backend, is_well, probes, work }
    }

    async fn three() -> [Self; 3] {
        [Self::well().await, Self::well().await, Self::well().await]
    }

    fn says(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }

    fn address(&self) -> Address {
        self.backend.address.clone()
    }

    fn probes(&self) -> usize {
        self.probes.load(Ordering::SeqCst)
    }

    /// What it got to do since the last time.
    fn work(&self) -> usize {
        self.work.swap(0, Ordering::SeqCst)
    }
}

fn checked(endpoints: Vec<Address>) -> GatewayConfig {
    let check = HealthCheck {
        path: "/ready".to_owned(),
        interval_ms: INTERVAL.as_millis().try_into().unwrap(),
        timeout_ms: 200,
        ..HealthCheck::default()
    };
    with(endpoints, |upstream| upstream.health_check = Some(check))
}

fn with(endpoints: Vec<Address>, change: impl FnOnce(&mut Upstream)) -> GatewayConfig {
    let mut config = config(endpoints, vec![public(Method::Get, "/x")]);
    let upstream = config.upstreams.get_mut("patient-service").unwrap();
    upstream.slow_start_ms = 0;
    change(upstream);
    config
}

/// Waits until the page of metrics shows an endpoint so.
async fn is_shown(house: &House, endpoint: &Address, state: u8) {
    let line = format!("endpoint=\"{endpoint}\"}} {state}");
    eventually(&format!("{endpoint} is shown as {state}"), || {
        let page = house.metrics.page();
        page.lines().any(|one| one.contains("gateway_endpoint_state{") && one.ends_with(&line))
    })
    .await;
}

async fn ask(house: &House, times: usize) {
    let mut client = house.client().await;
    for _ in 0..times {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn one_that_says_it_is_not_well_gets_nothing_until_it_says_that_it_is() {
    let patients = Patient::three().await;
    let house = House::with(checked(patients.iter().map(Patient::address).collect())).await;
    ask(&house, 30).await;
    assert!(patients.iter().all(|patient| patient.work() == 10));

    patients[1].says(false);
    is_shown(&house, &patients[1].address(), 3).await;
    ask(&house, 30).await;
    assert_eq!([&patients[0], &patients[1], &patients[2]].map(Patient::work), [15, 0, 15]);

    patients[1].says(true);
    let since = Instant::now();
    is_shown(&house, &patients[1].address(), 0).await;
    let took = since.elapsed();
    assert!(took < INTERVAL * 3, "within one interval, and what a busy machine adds: {took:?}");
    ask(&house, 30).await;
    assert!(patients.iter().all(|patient| patient.work() > 0));
}

#[tokio::test]
async fn one_bad_answer_is_none_yet() {
    let patients = Patient::three().await;
    let house = House::with(checked(patients.iter().map(Patient::address).collect())).await;
    eventually("all were asked", || patients.iter().all(|patient| patient.probes() > 0)).await;
    patients[0].says(false);
    let asked = patients[0].probes();
    eventually("it was asked once more", || patients[0].probes() > asked).await;
    patients[0].says(true);
    ask(&house, 30).await;
    assert!(patients[0].work() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_asked_by_one_however_many_threads_and_routes_there_are() {
    let patients = Patient::three().await;
    let mut config = checked(patients.iter().map(Patient::address).collect());
    for number in 0..10 {
        let breaker = settings::Breaker { open_ms: 1_000 + number, ..Default::default() };
        let route = public(Method::Get, &format!("/{number}"));
        config.routes.push(settings::Route { circuit_breaker: Some(breaker), ..route });
    }
    let sockets = http_kit::listen::listen_shared("127.0.0.1:0".parse().unwrap(), 4).unwrap();
    let house = House::on(config, |_| gateway::Listener::on_threads(sockets)).await;
    let since = Instant::now();
    tokio::time::sleep(INTERVAL * 10).await;
    let times = since.elapsed().as_millis() / INTERVAL.as_millis();
    for patient in &patients {
        let probes = patient.probes() as u128;
        assert!((3..=times * 10 / 9 + 1).contains(&probes), "{probes} times in {times} intervals");
        assert_eq!(patient.backend.connections(), 1, "on one connection");
    }
    drop(house);
}

#[tokio::test]
async fn an_only_endpoint_is_not_asked_and_a_change_ends_what_the_check_said() {
    let patients = Patient::three().await;
    let alone = checked(vec![patients[0].address()]);
    let house = House::with(alone.clone()).await;
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(patients[0].probes(), 0);

    patients[0].says(false);
    let all: Vec<_> = patients.iter().map(Patient::address).collect();
    house.gateway.apply(checked(all.clone())).unwrap();
    is_shown(&house, &patients[0].address(), 3).await;
    house.gateway.apply(with(all, |_| ())).unwrap();
    is_shown(&house, &patients[0].address(), 0).await;
    let asked = patients[0].probes();
    tokio::time::sleep(INTERVAL * 3).await;
    assert!(patients[0].probes() <= asked + 1, "nobody asks any more");
    ask(&house, 30).await;
    assert_eq!(patients[0].work(), 10);
}

#[tokio::test]
async fn with_more_than_half_unwell_all_are_sent_to() {
    let patients = Patient::three().await;
    let house = House::with(checked(patients.iter().map(Patient::address).collect())).await;
    patients[0].says(false);
    patients[1].says(false);
    is_shown(&house, &patients[0].address(), 3).await;
    is_shown(&house, &patients[1].address(), 3).await;
    ask(&house, 30).await;
    assert_eq!([&patients[0], &patients[1], &patients[2]].map(Patient::work), [10, 10, 10]);
    patients[2].says(false);
    is_shown(&house, &patients[2].address(), 3).await;
    ask(&house, 30).await;
    patients[0].says(true);
    patients[1].says(true);
    is_shown(&house, &patients[0].address(), 0).await;
    is_shown(&house, &patients[1].address(), 0).await;
    let _ = patients[2].work();
    ask(&house, 30).await;
    assert_eq!(patients[2].work(), 0, "one of three may be left out");
}

#[tokio::test]
async fn one_that_hangs_when_it_is_asked_is_down_and_one_that_refuses_too() {
    let (well, also) = (Patient::well().await, Patient::well().await);
    let hangs = Backend::raw(|mut stream, _| async move {
        crate::backend::read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let nobody = Backend::nobody();
    let endpoints = vec![well.address(), also.address(), hangs.address.clone(), nobody.clone()];
    let house = House::with(checked(endpoints)).await;
    is_shown(&house, &hangs.address, 3).await;
    is_shown(&house, &nobody, 3).await;
    ask(&house, 20).await;
    assert_eq!((well.work(), also.work()), (10, 10));
}

#[tokio::test]
async fn failures_in_a_row_set_an_endpoint_aside_for_longer_each_time() {
    let (well, sick) = (Patient::well().await, Backend::status(500).await);
    let ejection = Ejection { base_ms: 100, max_ms: 60_000, ..Ejection::default() };
    let config = with(vec![well.address(), sick.address.clone()], |upstream| upstream.ejection = ejection);
    let house = House::with(config).await;
    let mut client = house.client().await;
    for _ in 0..20 {
        client.ask("GET", "/x", &[], "").await;
    }
    assert_eq!(sick.requests().len(), 5, "five in a row, and no more");
    is_shown(&house, &sick.address, 2).await;
    // From here on each return is one failure, and then it is away for twice as long.
    let mut returns = Vec::new();
    let since = Instant::now();
    while returns.len() < 4 {
        let before = sick.requests().len();
        client.ask("GET", "/x", &[], "").await;
        if sick.requests().len() > before {
            returns.push(since.elapsed());
        }
        assert!(since.elapsed() < Duration::from_secs(20));
    }
    let pauses: Vec<_> = returns.windows(2).map(|two| two[1].abs_diff(two[0]).as_millis()).collect();
    for (pause, expected) in pauses.iter().zip([200, 400, 800]) {
        assert!((expected - 20..expected * 2).contains(pause), "{pauses:?}");
    }
}

#[tokio::test]
async fn one_that_is_gone_is_set_aside_after_two_connections_that_fail_and_found_again_by_the_check() {
    let patients = Patient::three().await;
    let leaving = Backend::echo().await;
    let gone = leaving.address.clone();
    let mut endpoints: Vec<_> = patients.iter().map(Patient::address).collect();
    endpoints.push(gone.clone());
    let mut config = checked(endpoints);
    config.routes[0].retries = Some(settings::Retries {
        attempts: 2,
        base_backoff_ms: 1,
        max_backoff_ms: 5,
        budget_percent: 100,
        per_try_ms: None,
    });
    let upstream = config.upstreams.get_mut("patient-service").unwrap();
    // So that it is requests that notice, and that its time would not be over before the test is.
    upstream.health_check.as_mut().unwrap().fall = 1_000_000;
    upstream.ejection = Ejection { base_ms: 60_000, ..Ejection::default() };
    let house = House::with(config).await;
    eventually("it was asked while it was there", || leaving.requests().len() > 1).await;
    drop(leaving);
    ask(&house, 40).await;
    is_shown(&house, &gone, 2).await;
    assert!(
        house.metrics.page().contains("gateway_retries_total{service=\"api-gateway\"} 2"),
        "two found out"
    );

    let listener = tokio::net::TcpListener::bind(gone.authority().unwrap()).await.unwrap();
    let back = Backend::on(listener, |_, _| async { Response::new(Full::new(Bytes::new())) });
    is_shown(&house, &back.address, 0).await;
    ask(&house, 8).await;
    assert!(back.connections() >= 2, "the asker's, and the requests'");
}

#[tokio::test]
async fn one_that_joins_under_load_gets_a_share_that_grows() {
    let patients = Patient::three().await;
    let slow = |endpoints| with(endpoints, |upstream: &mut Upstream| upstream.slow_start_ms = 600);
    let house = House::with(slow(patients[..2].iter().map(Patient::address).collect())).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    ask(&house, 2).await;
    house.gateway.apply(slow(patients.iter().map(Patient::address).collect())).unwrap();
    let joined = Instant::now();
    let mut shares = Vec::new();
    for until in [200, 400, 600, 1_000] {
        let mut client = house.client().await;
        let _ = patients.each_ref().map(Patient::work);
        while joined.elapsed() < Duration::from_millis(until) {
            assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
        }
        let [first, second, new] = patients.each_ref().map(Patient::work);
        shares.push(new * 100 / (first + second + new).max(1));
    }
    // Its even share is 33 %. On the way there it has about 17, 50 and 83 % of that.
    assert!(shares[0] <= 13 && shares[1] > shares[0] && shares[2] > shares[1], "{shares:?}");
    assert!((28..=38).contains(&shares[3]), "{shares:?}");
}

#[tokio::test]
async fn the_gateways_own_zone_is_preferred_and_left_when_it_has_too_few() {
    let patients = Patient::three().await;
    let fourth = Patient::well().await;
    let zones = ["a", "a", "b", "b"];
    let all = patients.iter().chain([&fourth]);
    let endpoints: Vec<_> = all.clone().map(Patient::address).collect();
    let mut config = checked(endpoints.clone());
    config.zone = Some("a".to_owned());
    config.upstreams.get_mut("patient-service").unwrap().zones =
        endpoints.into_iter().zip(zones).map(|(address, zone)| (address, vec![zone.to_owned()])).collect();
    let house = House::with(config.clone()).await;
    ask(&house, 40).await;
    assert_eq!(all.clone().map(Patient::work).collect::<Vec<_>>(), [20, 20, 0, 0]);

    // One of three that are well, where half would be even: two thirds stay.
    patients[0].says(false);
    is_shown(&house, &patients[0].address(), 3).await;
    ask(&house, 300).await;
    let spread: Vec<_> = all.clone().map(Patient::work).collect();
    assert!(
        spread[0] == 0 && (150..250).contains(&spread[1]) && spread[2] > 20 && spread[3] > 20,
        "{spread:?}"
    );

    patients[1].says(false);
    is_shown(&house, &patients[1].address(), 3).await;
    ask(&house, 40).await;
    assert_eq!(all.clone().map(Patient::work).collect::<Vec<_>>(), [0, 0, 20, 20]);

    for patient in [&patients[0], &patients[1]] {
        patient.says(true);
        is_shown(&house, &patient.address(), 0).await;
    }
    config.zone = None;
    house.gateway.apply(config).unwrap();
    ask(&house, 40).await;
    assert_eq!(all.map(Patient::work).collect::<Vec<_>>(), [10, 10, 10, 10]);
}

#[tokio::test]
async fn a_check_that_makes_no_sense_is_refused_by_its_name() {
    let mut bad = checked(Vec::new());
    bad.upstreams.get_mut("patient-service").unwrap().health_check =
        Some(HealthCheck { path: "ready".to_owned(), interval_ms: 1, timeout_ms: 0, fall: 0, rise: 0 });
    let backend = Backend::echo().await;
    let house = House::before(&backend, Vec::new()).await;
    let faults = house.gateway.apply(bad).unwrap_err().faults;
    let fields = ["path", "fall", "rise", "intervalMs", "timeoutMs"];
    for (fault, field) in faults.iter().zip(fields) {
        let place = format!("upstreams.patient-service.healthCheck.{field}: ");
        assert!(fault.starts_with(&place), "{fault}");
    }
    assert_eq!(faults.len(), fields.len());
}
