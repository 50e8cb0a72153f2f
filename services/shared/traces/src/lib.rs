//! Traces: which request caused which, in what time; and their way to an OpenTelemetry collector.
//!
//! | module | idea |
//! |---|---|
//! | [`context`] | W3C Trace Context: what one part tells the next of a trace |
//! | [`sampling`] | which requests are traced |
//! | [`span`] | one piece of work, being measured |
//! | [`current()`] | the span that the work under way belongs to |
//! | [`tracer`] | a part's way of making spans, and of handing them on |
//! | [`http`] | what is said of requests |
//! | [`otlp`] | spans as OpenTelemetry has them on the wire |
//!
//! A span never slows down or fails what it measures: it is put in a queue with a bound, and one task of the process sends what is there. What
//! the collector does not take in time is dropped, and counted.
//!
//! Never health data: names are templates (`GET /api/patients/{patientId}`), and attributes come from a short list.

mod causes;
pub mod context;
pub mod current;
mod export;
pub mod http;
pub mod otlp;
mod queue;
pub mod sampling;
pub mod span;
pub mod tracer;

pub use causes::chain;
pub use context::TraceContext;
pub use current::{Current, current, piece, step, step_with, within};
pub use sampling::Sampling;
pub use span::{Kind, Span, Value};
pub use tracer::Tracer;
