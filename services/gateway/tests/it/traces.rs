//! What a collector sees of requests: which of them, in what order, and that nobody waits for it.

use std::time::{Duration, Instant};

use settings::{GatewayConfig, Method, Retries, Tracing};
use testkit::collector::{Answers, Collector, Seen};

use crate::backend::{Backend, eventually};
use crate::house::{House, config, public};
use crate::wire::request;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn tracing(endpoint: &str, sample_percent: u32) -> Tracing {
    Tracing {
        endpoint: endpoint.to_owned(),
        sample_percent,
        stack: "east/clinic".to_owned(),
        ..Tracing::default()
    }
}

fn traced(mut config: GatewayConfig, collector: &Collector, sample_percent: u32) -> GatewayConfig {
    config.observability.tracing = Some(tracing(collector.endpoint(), sample_percent));
    config
}

fn one_route(backend: &Backend) -> GatewayConfig {
    config(vec![backend.address.clone()], vec![public(Method::Get, "/x/{id}")])
}

/// The `traceparent` of each request that the backend saw.
fn told(backend: &Backend) -> Vec<String> {
    let text = |header: &http::HeaderValue| header.to_str().unwrap().to_owned();
    backend.requests().iter().map(|seen| text(&seen.headers["traceparent"])).collect()
}

fn only(spans: &[Seen], kind: i32) -> &Seen {
    let mut of_kind = spans.iter().filter(|span| span.kind == kind);
    let first = of_kind.next().unwrap();
    assert!(of_kind.next().is_none(), "{spans:#?}");
    first
}

#[tokio::test]
async fn a_request_is_one_trace_from_its_caller_to_the_service() {
    let (backend, collector) = (Backend::echo().await, Collector::start(Answers::Takes).await);
    let house = House::with(traced(one_route(&backend), &collector, 100)).await;
    let answer = house.ask("GET", "/x/patient-7?name=doe", &[("traceparent", SAMPLED)], "").await;
    assert_eq!(answer.status, 200);
    let spans = collector.wait_for("two spans", |spans| spans.len() == 2).await;
    let (server, client) = (only(&spans, 2), only(&spans, 3));
    assert_eq!((server.part.as_str(), server.stack.as_str()), ("api-gateway", "east/clinic"));
    assert_eq!(server.trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((server.parent.as_str(), server.name.as_str()), ("b7ad6b7169203331", "GET /x/{id}"));
    assert_eq!((&client.trace, &client.parent), (&server.trace, &server.id));
    assert_eq!(told(&backend), [format!("00-{}-{}-01", client.trace, client.id)], "as the service is told");
    assert!(server.start <= client.start && client.end <= server.end, "{spans:#?}");
    for (attribute, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/x/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(server.says(attribute), value, "{attribute}");
    }
    let (host, port) = backend.address.authority().unwrap().split_once(':').unwrap();
    assert_eq!((client.says("server.address"), client.says("server.port")), (host, port));
    assert_eq!(client.says("url.template"), "/x/{id}");
    // Nothing says whom it was about.
    let everything = format!("{spans:?}");
    assert!(!everything.contains("patient-7") && !everything.contains("doe"), "{everything}");
}

#[tokio::test]
async fn who_may_say_that_a_trace_is_recorded_is_who_is_trusted() {
    let (backend, collector) = (Backend::echo().await, Collector::start(Answers::Takes).await);
    // Nothing that begins here is recorded.
    let house = House::with(traced(one_route(&backend), &collector, 0)).await;
    assert_eq!(house.ask("GET", "/x/1", &[("traceparent", SAMPLED)], "").await.status, 200);
    let trusting = GatewayConfig {
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        ..traced(one_route(&backend), &collector, 0)
    };
    let house = House::with(trusting).await;
    assert_eq!(house.ask("GET", "/x/2", &[("traceparent", SAMPLED)], "").await.status, 200);
    let spans = collector.wait_for("two spans", |spans| spans.len() == 2).await;
    let flags =
        |traceparents: &[String]| traceparents.iter().map(|it| it[53..].to_owned()).collect::<Vec<_>>();
    assert_eq!(flags(&told(&backend)), ["00", "01"], "a stranger's word is none");
    // And what a proxy does not record is not recorded, however much of the rest is.
    let trusting = GatewayConfig {
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        ..traced(one_route(&backend), &collector, 100)
    };
    let house = House::with(trusting).await;
    assert_eq!(house.ask("GET", "/x/3", &[("traceparent", NOT_SAMPLED)], "").await.status, 200);
    assert_eq!(house.get("/x/4").await.status, 200);
    let more = collector.wait_for("two more", |spans| spans.len() == 4).await;
    assert!(more[2..].iter().all(|span| span.trace != spans[0].trace), "{more:#?}");
    assert_eq!(flags(&told(&backend)), ["00", "01", "00", "01"]);
}

#[tokio::test]
async fn each_attempt_is_a_span_and_says_what_it_came_to() {
    let (sick, well) = (Backend::status(502).await, Backend::echo().await);
    let collector = Collector::start(Answers::Takes).await;
    let mut route = public(Method::Get, "/x/{id}");
    route.retries = Some(Retries {
        attempts: 2,
        base_backoff_ms: 1,
        max_backoff_ms: 2,
        budget_percent: 100,
        per_try_ms: None,
    });
    let config = config(vec![sick.address.clone(), well.address.clone()], vec![route]);
    let house = House::with(traced(config, &collector, 100)).await;
    for _ in 0..2 {
        assert_eq!(house.get("/x/1").await.status, 200);
    }
    let spans = collector.wait_for("the attempts", |spans| spans.len() >= 5).await;
    let failed = spans.iter().find(|span| span.kind == 3 && span.error.is_some()).unwrap();
    assert_eq!((failed.says("http.response.status_code"), failed.says("error.type")), ("502", "502"));
    let again = spans.iter().find(|span| span.says("http.request.resend_count") == "1").unwrap();
    assert_eq!(again.error.as_deref(), None);
    let server = spans.iter().find(|span| span.id == again.parent).unwrap();
    assert_eq!(spans.iter().filter(|span| span.parent == server.id).count(), 2, "{spans:#?}");
    assert_eq!((server.kind, server.error.as_deref()), (2, None), "the caller had its answer");
}

#[tokio::test]
async fn what_nobody_answers_is_an_error_and_a_client_that_leaves_is_told_of() {
    let collector = Collector::start(Answers::Takes).await;
    let routes = vec![public(Method::Get, "/x/{id}")];
    let house = House::with(traced(config(vec![Backend::nobody()], routes), &collector, 100)).await;
    assert_eq!(house.get("/x/1").await.status, 503);
    let spans = collector.wait_for("two spans", |spans| spans.len() == 2).await;
    assert_eq!(only(&spans, 3).says("error.type"), "connect");
    assert_eq!((only(&spans, 2).says("error.type"), only(&spans, 2).error.is_some()), ("503", true));
    // A refusal is the caller's mistake, not ours.
    assert_eq!(house.get("/nowhere").await.status, 404);
    let spans = collector.wait_for("a third", |spans| spans.len() == 3).await;
    assert_eq!((spans[2].name.as_str(), spans[2].error.as_deref()), ("GET", None));

    let backend = Backend::answering(|_| async { std::future::pending().await }).await;
    let house = House::with(traced(one_route(&backend), &collector, 100)).await;
    let mut client = house.client().await;
    client.send(request("GET", "/x/1", &[], "")).await;
    eventually("the backend is asked", || !backend.requests().is_empty()).await;
    drop(client);
    let spans = collector.wait_for("its end", |spans| spans.len() == 5).await;
    assert_eq!(only(&spans[3..], 2).says("error.type"), "client_gone");
    assert_eq!(only(&spans[3..], 3).says("error.type"), "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_slow_or_sick_harms_no_request() {
    let backend = Backend::echo().await;
    let hangs = Collector::start(Answers::After(Duration::from_mins(1))).await;
    let sick = Collector::start(Answers::Status(500)).await;
    let nobody = Backend::nobody();
    for (endpoint, reason) in
        [(nobody.0.as_str(), "unreachable"), (sick.endpoint(), "refused"), (hangs.endpoint(), "queue_full")]
    {
        let mut config = one_route(&backend);
        config.observability.tracing = Some(tracing(endpoint, 100));
        let house = House::with(config).await;
        let mut client = house.client().await;
        let mut slowest = Duration::ZERO;
        for _ in 0..2_600 {
            let begun = Instant::now();
            assert_eq!(client.ask("GET", "/x/1", &[], "").await.status, 200);
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < Duration::from_secs(2), "{reason}: {slowest:?}");
        let dropped = format!("trace_spans_dropped_total{{service=\"api-gateway\",reason=\"{reason}\"}} ");
        eventually(reason, || house.metrics.page().contains(&dropped)).await;
    }
}

#[tokio::test]
async fn traces_come_and_go_with_the_configuration() {
    let (backend, collector) = (Backend::echo().await, Collector::start(Answers::Takes).await);
    let house = House::with(one_route(&backend)).await;
    assert_eq!(house.get("/x/1").await.status, 200);
    house.gateway.apply(traced(one_route(&backend), &collector, 100)).unwrap();
    assert_eq!(house.get("/x/2").await.status, 200);
    collector.wait_for("two spans", |spans| spans.len() == 2).await;
    house.gateway.apply(one_route(&backend)).unwrap();
    assert_eq!(house.ask("GET", "/x/3", &[("traceparent", SAMPLED)], "").await.status, 200);
    house.tracer.flush().await;
    assert_eq!(collector.spans().len(), 2);
    let flags: Vec<_> = told(&backend).iter().map(|it| it[53..].to_owned()).collect();
    assert_eq!(flags, ["00", "01", "01"], "without a collector, what the caller says is passed on");

    let mut wrong = one_route(&backend);
    wrong.observability.tracing = Some(tracing("collector:4318", 1));
    let refused = house.gateway.apply(wrong).unwrap_err();
    assert_eq!(
        refused.faults,
        ["observability.tracing.endpoint: is collector, not http or https"],
        "and nothing has changed"
    );
}

#[tokio::test]
async fn a_bucket_of_the_histogram_points_to_a_trace() {
    let (backend, collector) = (Backend::echo().await, Collector::start(Answers::Takes).await);
    let house = House::with(traced(one_route(&backend), &collector, 100)).await;
    assert_eq!(house.ask("GET", "/x/1", &[("traceparent", SAMPLED)], "").await.status, 200);
    house.tracer.flush().await;
    let page = house.metrics.page();
    let exemplar = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\"}";
    let mut lines = page.lines().filter(|line| line.contains(exemplar));
    let line = lines.next().unwrap_or_else(|| panic!("{page}"));
    assert!(line.starts_with("healthcare_gateway_request_seconds_bucket{"), "{line}");
    assert!(lines.next().is_none(), "{page}");
    // Without traces there is nothing to point to.
    let house = House::with(one_route(&backend)).await;
    assert_eq!(house.ask("GET", "/x/1", &[("traceparent", SAMPLED)], "").await.status, 200);
    assert!(!house.metrics.page().contains("trace_id"));
}

#[tokio::test]
async fn probes_are_no_traces() {
    let (backend, collector) = (Backend::echo().await, Collector::start(Answers::Takes).await);
    let house = House::with(traced(one_route(&backend), &collector, 100)).await;
    assert_eq!(house.get("/livez").await.status, 200);
    assert_eq!(house.get("/x/1").await.status, 200);
    house.tracer.flush().await;
    assert!(collector.spans().iter().all(|span| span.name == "GET /x/{id}"), "{:#?}", collector.spans());
}
