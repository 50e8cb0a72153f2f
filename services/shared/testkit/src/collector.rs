//! [`Collector`]: takes traces as an OpenTelemetry collector does (OTLP over HTTP, protobuf), or does not, and says what it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use traces::otlp::{Any, ExportRequest, ExportResponse, KeyValue, PartialSuccess};

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// It takes everything.
    Takes,
    /// It takes all but so many spans.
    TakesAllBut(i64),
    /// It answers with this status, and takes nothing.
    Status(u16),
    /// It says nothing for so long, and then takes everything.
    After(Duration),
}

/// A span, as it was sent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which part of a stack sent it.
    pub part: String,
    /// Of which stack.
    pub stack: String,
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span.
    pub id: String,
    /// The one it belongs to; empty: it is the first.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// What is said of it.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
}

impl Seen {
    /// An attribute; empty if it is not there.
    pub fn says(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

/// What it was sent, one request after another.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

#[derive(Debug)]
struct Inside {
    answers: Answers,
    exports: Vec<Export>,
    taken: Vec<Seen>,
}

type Shared = Arc<Mutex<Inside>>;

/// A collector; gone when dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Starts one, at a port of its own.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, answers)
    }

    /// Starts one at a socket.
    ///
    /// # Panics
    /// If that has no address.
    pub fn on(listener: TcpListener, answers: Answers) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Inside { answers, exports: Vec::new(), taken: Vec::new() }));
        let router = axum::Router::new()
            .route("/v1/traces", axum::routing::post(take))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { endpoint: format!("http://{address}"), shared, task }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers differently from now on.
    pub fn now(&self, answers: Answers) {
        inside(&self.shared, |inside| inside.answers = answers);
    }

    /// Every request so far, taken or not.
    pub fn exports(&self) -> Vec<Export> {
        inside(&self.shared, |inside| inside.exports.clone())
    }

    /// The spans that it took.
    pub fn spans(&self) -> Vec<Seen> {
        inside(&self.shared, |inside| inside.taken.clone())
    }

    /// The spans that it took, once they are what is waited for.
    ///
    /// # Panics
    /// If they are not within ten seconds.
    #[expect(clippy::panic, reason = "a test fails by panicking, with what there was instead")]
    pub async fn wait_for(&self, what: &str, is_there: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        for _ in 0..1_000 {
            let spans = self.spans();
            if is_there(&spans) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the collector was not sent {what}: {:#?}", self.spans());
    }
}

fn inside<T>(shared: &Shared, look: impl FnOnce(&mut Inside) -> T) -> T {
    look(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let answers = inside(&shared, |inside| {
        inside.exports.push(Export { headers, body: body.clone() });
        inside.answers
    });
    let refused = match answers {
        Answers::Takes => 0,
        Answers::TakesAllBut(refused) => refused,
        Answers::Status(status) => return (StatusCode::from_u16(status).unwrap_or_default(), Vec::new()),
        Answers::After(pause) => {
            tokio::time::sleep(pause).await;
            0
        }
    };
    let Ok(request) = ExportRequest::decode(body) else { return (StatusCode::BAD_REQUEST, Vec::new()) };
    inside(&shared, |inside| inside.taken.extend(read(&request)));
    let partial = PartialSuccess { rejected_spans: refused, error_message: String::new() };
    let answer = ExportResponse { partial_success: (refused > 0).then_some(partial) };
    (StatusCode::OK, answer.encode_to_vec())
}

fn read(request: &ExportRequest) -> Vec<Seen> {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let mut seen = Vec::new();
    for of_part in &request.resource_spans {
        let resource = texts(of_part.resource.iter().flat_map(|resource| &resource.attributes));
        let named = |key: &str| resource.get(key).cloned().unwrap_or_default();
        for span in of_part.scope_spans.iter().flat_map(|scope| &scope.spans) {
            seen.push(Seen {
                part: named("service.name"),
                stack: named("service.namespace"),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name.clone(),
                kind: span.kind,
                attributes: texts(&span.attributes),
                error: span.status.as_ref().filter(|it| it.code == 2).map(|it| it.message.clone()),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
            });
        }
    }
    seen
}

fn texts<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Any::Text(text)) => text.clone(),
        Some(Any::Number(number)) => number.to_string(),
        None => String::new(),
    };
    attributes.into_iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}
