//! `GET /api/gateway` where a Prometheus counts for all gateways of the stack.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::gateway::{CountedBy, GatewayReport};
use contracts::permission::Role;
use gateway::admin;
use http::Response;
use http_body_util::Full;
use http_kit::telemetry::Metrics;
use settings::{GatewayConfig, Method, Route};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, config, public};
use crate::prometheus::{self, Prometheus};

/// Longer than what was said holds.
const STALE: Duration = Duration::from_millis(2_300);

/// A configuration that counts on a Prometheus there.
fn counted_by(prometheus: &str, backend: &Backend) -> GatewayConfig {
    let broken = Route { service: "billing-service".to_owned(), ..public(Method::Get, "/broken") };
    let labels = [("namespace", "east"), ("stack", "clinic")];
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x"), broken]);
    config.upstreams.insert("billing-service".to_owned(), vec![Backend::nobody()].into());
    config.prometheus = Some(settings::Prometheus {
        url: prometheus.to_owned(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    });
    config
}

/// A page of metrics at an address. It has a runtime to itself, so that connections end with it, as they do with a process.
struct Page {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Page {
    fn start(metrics: Metrics, address: SocketAddr) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(address).await.unwrap();
                tokio::select! {
                    () = admin::serve(listener, metrics, admin::Place::default()) => {}
                    _ = ended => {}
                }
            });
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

/// A gateway whose metrics can be read.
struct Shown {
    house: House,
    _page: Page,
}

impl Shown {
    async fn start(config: GatewayConfig, seed: u64, page: SocketAddr) -> Self {
        let house = House::seeded(config, seed).await;
        let page = Page::start(house.metrics.clone(), page);
        Self { house, _page: page }
    }

    /// Asks for `/x` so often.
    async fn used(&self, times: usize) {
        for _ in 0..times {
            assert_eq!(self.house.get("/x").await.status, 200);
        }
    }

    async fn report(&self, role: Role) -> GatewayReport {
        let answer = self.house.get_as(&self.house.token("usr_1", role), "/api/gateway").await;
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn requests(&self) -> u64 {
        self.house.gateway.report().metrics.requests
    }

    /// What it tells once Prometheus has seen all that the gateways have answered: so many requests.
    async fn told(&self, expected: impl Fn() -> u64) -> GatewayReport {
        let mut report = None;
        for _ in 0..10 {
            tokio::time::sleep(STALE).await;
            // The one that asks is not counted yet.
            let all = expected();
            let told = self.report(Role::Admin).await;
            if (told.source, told.metrics.requests) == (CountedBy::Prometheus, all) {
                return told;
            }
            report = Some((all, told));
        }
        panic!("Prometheus never told of all that there was: {report:?}");
    }

    /// Whose word it gives once what was said before does not hold any more, and how long that takes.
    async fn source(&self) -> CountedBy {
        tokio::time::sleep(STALE).await;
        let begun = Instant::now();
        let report = self.report(Role::Patient).await;
        // It waits a second for Prometheus and no longer; the rest is for a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        report.source
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_gateways_of_the_stack_have_answered_is_told_by_each_and_outlives_them() {
    let backend = Backend::echo().await;
    let [address, one, two, other] = std::array::from_fn(|_| prometheus::address());
    let url = format!("http://{address}");
    let config = counted_by(&url, &backend);
    let config = || config.clone();
    let first = Shown::start(config(), 1, one).await;
    let second = Shown::start(config(), 2, two).await;
    // Of another stack.
    let stranger = Shown::start(config(), 3, other).await;
    first.used(3).await;
    second.used(4).await;
    stranger.used(20).await;
    assert_eq!(second.house.get("/broken").await.status, 503);
    eventually("all is counted", || (first.requests(), second.requests()) == (3, 5)).await;
    let _prometheus =
        Prometheus::start(address, &[(one, "clinic"), (two, "clinic"), (other, "hospital")]).await;

    first.told(|| first.requests() + second.requests()).await;
    // Latency is told of what Prometheus has seen come.
    first.used(5).await;
    let told = first.told(|| first.requests() + second.requests()).await;
    assert_eq!((told.replicas, told.metrics.errors), (2, 1));
    let details = told.details.unwrap();
    let counts: Vec<_> = details
        .routes
        .iter()
        .filter(|route| ["/x", "/broken"].contains(&route.route.as_str()))
        .map(|route| (route.route.as_str(), route.requests, route.errors))
        .collect();
    assert_eq!(counts, [("/broken", 1, 1), ("/x", 12, 0)]);
    assert_eq!(details.latency_over_seconds, Some(300));
    let latency = details.latency.unwrap();
    assert!(latency.p50_ms > 0.0 && latency.p50_ms <= latency.p99_ms, "{latency:?}");
    let services: Vec<_> = details.endpoints.iter().map(|endpoint| endpoint.service.as_str()).collect();
    assert_eq!(services, ["billing-service", "patient-service"]);

    let other_way = second.told(|| first.requests() + second.requests()).await;
    assert_eq!((other_way.replicas, other_way.metrics.errors), (2, 1));
    assert_eq!(second.report(Role::Patient).await.details, None, "details are not for everybody");

    // One ends, and another begins at its address: what the first one had answered, as far as Prometheus has seen it, stays.
    first.told(|| first.requests() + second.requests()).await;
    let gone = second.requests();
    drop(second);
    let third = Shown::start(config(), 4, two).await;
    third.used(2).await;
    let told = first.told(|| gone + first.requests() + third.requests()).await;
    assert_eq!((told.replicas, told.metrics.errors), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_prometheus_is_away_or_hangs_the_gateway_tells_of_itself() {
    let backend = Backend::echo().await;
    let [address, page] = std::array::from_fn(|_| prometheus::address());
    let shown = Shown::start(counted_by(&format!("http://{address}"), &backend), 1, page).await;
    assert_eq!(shown.source().await, CountedBy::Gateway);
    let mut prometheus = Prometheus::start(address, &[(page, "clinic")]).await;
    shown.told(|| shown.requests()).await;

    prometheus.process.signal("STOP");
    assert_eq!(shown.source().await, CountedBy::Gateway);
    let report = shown.report(Role::Admin).await;
    assert_eq!(report.replicas, 1);
    let details = report.details.unwrap();
    let status = details.routes.iter().find(|route| route.route == "/api/gateway").unwrap();
    assert!(status.requests > 0 && status.latency.is_some(), "{status:?}");
    assert_eq!(details.latency_over_seconds, None);
    prometheus.process.signal("CONT");
    shown.told(|| shown.requests()).await;

    prometheus.process.cut();
    assert_eq!(shown.source().await, CountedBy::Gateway);
    prometheus.again().await;
    shown.told(|| shown.requests()).await;
}

#[tokio::test]
async fn a_prometheus_that_makes_no_sense_is_not_believed() {
    let echo = Backend::echo().await;
    let answers: [&'static [u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: /api/v1/query\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 2\r\n\r\n{}",
        // It knows no gateway of this stack.
        b"HTTP/1.1 200 OK\r\nContent-Length: 63\r\n\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}",
        b"\x16\x03\x01",
    ];
    for answer in answers {
        let odd = Backend::raw(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let house = House::with(counted_by(&odd.address.0, &echo)).await;
        let answer = house.get_as(&house.token("usr_1", Role::Admin), "/api/gateway").await;
        let report: GatewayReport = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, report.source), (200, CountedBy::Gateway));
        assert!(odd.connections() > 0, "it was never asked");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let echo = Backend::echo().await;
    let endless = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'['; 4 * 1024]).await.is_ok() {}
    })
    .await;
    let house = House::with(counted_by(&endless.address.0, &echo)).await;
    let answer = house.get_as(&house.token("usr_1", Role::Admin), "/api/gateway").await;
    let report: GatewayReport = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, report.source), (200, CountedBy::Gateway));
}

#[tokio::test]
async fn however_many_ask_prometheus_is_asked_once() {
    let echo = Backend::echo().await;
    let prometheus = Backend::answering(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;
        Response::new(Full::new(Bytes::from_static(answer.as_bytes())))
    })
    .await;
    let house = House::with(counted_by(&prometheus.address.0, &echo)).await;
    let token = house.token("usr_1", Role::Patient);
    let answers = futures_util::future::join_all((0..20).map(|_| house.get_as(&token, "/api/gateway"))).await;
    for answer in answers {
        assert_eq!(
            answer.text(),
            r#"{"status":"Running","metrics":{"requests":7,"errors":7},"source":"prometheus","replicas":7}"#
        );
    }
    // The requests, the errors, the gateways.
    assert_eq!(prometheus.requests().len(), 3);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let echo = Backend::echo().await;
    let house = House::before(&echo, Vec::new()).await;
    let error = house.gateway.apply(counted_by("prometheus:9090", &echo)).unwrap_err().to_string();
    assert!(error.contains("prometheus.url: is prometheus, not http or https"), "{error}");
}
