//! Spans on the wire: the part of OTLP's trace messages that is written here, and the answer to them.
//!
//! Numbers and names are those of `opentelemetry/proto/trace/v1/trace.proto` and its neighbours, which are stable: a field's number never
//! changes (<https://opentelemetry.io/docs/specs/otlp/>). A test reads what is written with the project's own types.

use prost::{Message, Oneof};

use crate::span::{Finished, Kind, Value};

/// Who writes these spans.
const SCOPE: &str = "healthcare-stack";
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`: it is known whether the parent is in another process.
const HAS_IS_REMOTE: u32 = 0x100;
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`: it is.
const IS_REMOTE: u32 = 0x200;
const SAMPLED: u32 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

/// What is POSTed to `/v1/traces`.
#[derive(Clone, PartialEq, Message)]
pub struct ExportRequest {
    /// The spans, by the part that made them.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// What is answered.
#[derive(Clone, PartialEq, Message)]
pub struct ExportResponse {
    /// If not all was taken.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What was not taken.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// So many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// And why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// One part's spans.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    /// Which part.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its spans.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// A part.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// `service.name` and what else tells it from others.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// What one library wrote.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// What wrote the spans.
#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// A span.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// 8 bytes, or none: it is the first of its trace.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// What it is called.
    #[prost(string, tag = "5")]
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    #[prost(int32, tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is said of it.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// The trace's flags, and whether the parent is in another process.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub message: String,
    /// 0 nothing to say, 1 well, 2 in error.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// An attribute's value.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    /// It.
    #[prost(oneof = "Any", tags = "1, 3")]
    pub value: Option<Any>,
}

/// The kinds of values that are written here.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Any {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// What all parts of a process have in common.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) namespace: String,
    pub(crate) instance: String,
}

/// A batch as a request's body.
pub(crate) fn request(batch: &[Box<Finished>], origin: &Origin) -> ExportRequest {
    let mut request = ExportRequest::default();
    let mut parts: Vec<&'static str> = Vec::new();
    for finished in batch {
        let place = parts.iter().position(|part| *part == finished.part).unwrap_or_else(|| {
            parts.push(finished.part);
            request.resource_spans.push(resource(finished.part, origin));
            parts.len() - 1
        });
        request.resource_spans[place].scope_spans[0].spans.push(span(finished));
    }
    request
}

fn resource(part: &str, origin: &Origin) -> ResourceSpans {
    let version = env!("CARGO_PKG_VERSION");
    let named = |key: &str, value: &str| attribute(key, Any::Text(value.to_owned()));
    let attributes = vec![
        named("service.name", part),
        named("service.namespace", &origin.namespace),
        named("service.version", version),
        named("service.instance.id", &origin.instance),
    ];
    let scope = Scope { name: SCOPE.to_owned(), version: version.to_owned() };
    ResourceSpans {
        resource: Some(Resource { attributes }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans: Vec::new() }],
    }
}

fn span(finished: &Finished) -> Span {
    let (trace_id, span_id) = finished.context.ids();
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let attributes = finished.attributes.iter().map(|(key, value)| {
        attribute(
            key,
            match value {
                Value::Text(text) => Any::Text(text.clone().into_owned()),
                Value::Number(number) => Any::Number(*number),
            },
        )
    });
    Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        parent_span_id: finished.parent.map(Vec::from).unwrap_or_default(),
        name: finished.name.clone().into_owned(),
        kind: match finished.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: nanos(finished.start),
        end_time_unix_nano: nanos(finished.start + finished.took),
        attributes: attributes.collect(),
        status: finished
            .failure
            .as_ref()
            .map(|why| Status { message: why.clone().into_owned(), code: ERROR }),
        flags: SAMPLED | HAS_IS_REMOTE | if finished.is_parent_remote { IS_REMOTE } else { 0 },
    }
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}
