//! What reaches a collector, and what becomes of spans when it is down, slow, or does not want them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Theirs};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use prost::Message;
use settings::{SecretRef, Tracing, TracingHeader};
use testkit::collector::{Answers, Collector};
use traces::{Kind, Span, TraceContext, Tracer};

/// A process with a tracer, and what it counts.
struct Process {
    tracer: Tracer,
    registry: Registry,
}

impl Process {
    fn new(secrets: Option<&std::path::Path>) -> Self {
        let tracer = Tracer::new("patient-service", 11, secrets.map(Into::into));
        let mut registry = Registry::default();
        tracer.register(&mut registry);
        Self { tracer, registry }
    }

    fn sending_to(endpoint: &str) -> Self {
        let process = Self::new(None);
        process.tracer.configure(Some(&all_to(endpoint)));
        process
    }

    fn page(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.registry).unwrap();
        page
    }

    /// How many spans were dropped for a reason.
    fn dropped(&self, reason: &str) -> usize {
        self.counted(&format!("trace_spans_dropped_total{{reason=\"{reason}\"}}"))
    }

    fn counted(&self, series: &str) -> usize {
        let page = self.page();
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |count| count.trim().parse().unwrap())
    }

    fn spans(&self, count: usize) {
        for _ in 0..count {
            drop(self.tracer.root("work").unwrap());
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}:\n{}", self.page());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn all_to(endpoint: &str) -> Tracing {
    Tracing {
        endpoint: endpoint.to_owned(),
        sample_percent: 100,
        stack: "east/clinic".to_owned(),
        ..Tracing::default()
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = &attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value;
    match value.as_ref()? {
        Theirs::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_sent_is_what_opentelemetrys_own_types_read() {
    let collector = Collector::start(Answers::Takes).await;
    let process = Process::sending_to(collector.endpoint());
    let caller = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    let mut span = process.tracer.continued(caller, "GET /api/patients/{patientId}").unwrap();
    traces::http::serves(&mut span, "GET", "/api/patients/{patientId}");
    traces::http::answered(Some(&mut span), Kind::Server, 503);
    let context = span.context();
    drop(span);
    process.tracer.flush().await;

    let exports = collector.exports();
    let [export] = exports.as_slice() else { panic!("{exports:?}") };
    assert_eq!(export.headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(export.body.clone()).unwrap();
    // Nothing is there that they do not know: written again, it is as long.
    assert_eq!(request.encode_to_vec().len(), export.body.len());
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("patient-service"));
    assert_eq!(text(&resource.attributes, "service.namespace"), Some("east/clinic"));
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(span.span_id, context.span_id());
    assert_eq!((span.kind(), span.name.as_str()), (SpanKind::Server, "GET /api/patients/{patientId}"));
    assert_eq!(span.flags, 0x301, "recorded, and its parent is elsewhere");
    assert!(span.start_time_unix_nano > 1_700_000_000_000_000_000);
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(text(&span.attributes, "http.request.method"), Some("GET"));
    let status = span.attributes.iter().find(|it| it.key == "http.response.status_code").unwrap();
    assert_eq!(status.value.as_ref().unwrap().value, Some(Theirs::IntValue(503)));
}

#[tokio::test]
async fn a_collector_that_is_down_costs_spans_and_nothing_else() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let process = Process::sending_to(&format!("http://{address}"));
    process.spans(3);
    process.until("they are given up", |it| it.dropped("unreachable") == 3).await;
    // It comes up, and what is made from then on reaches it.
    let collector = Collector::on(tokio::net::TcpListener::bind(address).await.unwrap(), Answers::Takes);
    process.spans(1);
    collector.wait_for("the span after that", |spans| spans.len() == 1).await;
    process.until("it is counted", |it| it.counted("trace_spans_sent_total") == 1).await;
}

#[tokio::test]
async fn a_slow_collector_is_not_waited_for_and_the_queue_has_a_bound() {
    let collector = Collector::start(Answers::After(Duration::from_mins(1))).await;
    let process = Process::sending_to(collector.endpoint());
    let begun = Instant::now();
    process.spans(20_000);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "20,000 spans took {took:?}");
    // One batch may be on its way.
    let dropped = process.dropped("queue_full");
    assert!((20_000 - 4_096 - 512..=20_000 - 4_096).contains(&dropped), "{dropped}");
}

#[tokio::test]
async fn a_collector_that_cannot_now_is_asked_again_and_one_that_never_will_is_not() {
    let collector = Collector::start(Answers::Status(503)).await;
    let process = Process::sending_to(collector.endpoint());
    process.spans(2);
    process.until("it was asked", |_| collector.exports().len() == 1).await;
    collector.now(Answers::Takes);
    collector.wait_for("the same batch", |spans| spans.len() == 2).await;
    let exports = collector.exports();
    assert!(exports.len() >= 2 && exports[0].body == exports[1].body);
    // OTLP: 500 must not be tried again.
    collector.now(Answers::Status(500));
    process.spans(2);
    process.until("they are dropped", |it| it.dropped("refused") == 2).await;
    assert_eq!(collector.exports().len(), exports.len() + 1);
    collector.now(Answers::TakesAllBut(3));
    process.spans(5);
    process.until("three more are", |it| it.dropped("refused") == 5).await;
    assert_eq!(process.counted("trace_spans_sent_total"), 2 + 2);
}

#[tokio::test]
async fn what_is_left_is_sent_at_the_end_and_a_collector_that_hangs_holds_nobody() {
    let collector = Collector::start(Answers::Takes).await;
    let process = Process::sending_to(collector.endpoint());
    process.spans(1_500);
    process.tracer.flush().await;
    assert_eq!(collector.spans().len(), 1_500);

    collector.now(Answers::After(Duration::from_mins(1)));
    process.spans(10);
    let begun = Instant::now();
    process.tracer.flush().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Tracer::off().flush().await;
}

#[tokio::test]
async fn a_header_is_a_secret_and_is_read_again_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::new(Some(folder.path()));
    let collector = Collector::start(Answers::Status(401)).await;
    let value = SecretRef { secret: "collector".to_owned(), key: "token".to_owned() };
    let header = TracingHeader { name: "authorization".to_owned(), value };
    process.tracer.configure(Some(&Tracing { headers: vec![header], ..all_to(collector.endpoint()) }));
    process.spans(1);
    process.until("without the secret nothing is sent", |it| it.dropped("unusable") == 1).await;
    assert!(collector.exports().is_empty());

    let write = |token: &str| {
        std::fs::create_dir_all(folder.path().join("collector")).unwrap();
        std::fs::write(folder.path().join("collector/token"), token).unwrap();
    };
    write("Bearer old\n");
    process.spans(1);
    process.until("the old one is refused", |it| it.dropped("refused") == 1).await;
    write("Bearer new\n");
    collector.now(Answers::Takes);
    process.spans(1);
    collector.wait_for("a span", |spans| spans.len() == 1).await;
    let sent: Vec<_> = collector.exports().iter().map(|it| it.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer old", "Bearer new"]);
}

#[tokio::test]
async fn settings_change_while_spans_are_made() {
    let (first, second) = (Collector::start(Answers::Takes).await, Collector::start(Answers::Takes).await);
    let process = Process::new(None);
    assert!(process.tracer.root("nobody asked").is_none());
    process.tracer.configure(Some(&all_to(first.endpoint())));
    process.spans(1);
    process.tracer.configure(Some(&all_to(second.endpoint())));
    process.spans(2);
    second.wait_for("what was made since", |spans| spans.len() >= 2).await;
    process.tracer.configure(None);
    assert!(process.tracer.root("not any more").is_none());
    let parent = TraceContext::start([1; 16], [1; 8]).sampled(true);
    assert!(process.tracer.child(parent, Kind::Client, "nor below others").is_none());
    assert_eq!(first.spans().len() + second.spans().len(), 3);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_says_so() {
    let collector = Collector::start(Answers::Takes).await;
    let process = Process::sending_to(collector.endpoint());
    let root = process.tracer.root("work").unwrap();
    let asked = process.tracer.child(root.context(), Kind::Client, "GET /x").unwrap();
    let context = |span: &Span| span.context();
    assert_eq!(context(&asked).trace_id(), context(&root).trace_id());
    drop(asked);
    drop(root);
    process.tracer.flush().await;
    let spans = collector.spans();
    assert_eq!((spans[0].error.as_deref(), spans[0].says("error.type")), (Some("given up"), "cancelled"));
    assert_eq!((spans[1].error.as_deref(), spans[1].parent.as_str()), (None, ""));
    assert_eq!(spans[0].parent, spans[1].id);
}
