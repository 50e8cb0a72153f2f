//! The gateway: one door in front of the services.
//!
//! A request's way stands in `way.rs` and reads from top to bottom. Everything it needs to know is one immutable `Snapshot`,
//! built from a `GatewayConfig` and swapped atomically; what must outlive a change (limiters, connection pools, breakers, counters)
//! is kept beside it and handed from snapshot to snapshot. No router and no middleware stack stand on the hot path: hyper's HTTP/1
//! connection calls one function.
//!
//! | file | idea |
//! |---|---|
//! | `gateway.rs`, `accept.rs`, `crowd.rs`, `http2.rs` | started, reconfigured, stopped; connections, and how many; those of HTTP/2 |
//! | `edge.rs`, `raw_head.rs`, `link.rs` | bytes that never become a request; what hyper does not tell of those that do; what both know |
//! | `snapshot.rs`, `routing.rs`, `kept.rs` | configuration, and what outlives it |
//! | `way.rs` | a request's way |
//! | `target.rs`, `host.rs`, `client.rs`, `limits/`, `headers.rs` | its steps: address, who asks, how often, what is passed on |
//! | `security.rs`, `cors.rs` | what every answer tells browsers; pages of which other origins may read it |
//! | `canary.rs`, `rewrite.rs` | where to: which version, and by which path |
//! | `admission.rs`, `loan.rs` | whether the service has room for it; whose its place is while its client is waited for |
//! | `forward/`, `upstream/`, `place.rs`, `patience.rs`, `body.rs` | attempts, connections to services, HTTP/1.1 and HTTP/2 on them, where names lead, bodies streamed both ways |
//! | `gather.rs`, `late.rs`, `room.rs` | small bodies read first; how slowly one may come; how much of all that is kept at once |
//! | `pace.rs` | how long: in all, each attempt, before a read is made a second time |
//! | `fallback/` | what a read gets whose service cannot answer |
//! | `invitation.rs`, `tunnel.rs` | a body that is sent when it is wanted; a connection that becomes a WebSocket |
//! | `checks.rs` | endpoints asked how they are |
//! | `exchange.rs`, `metrics.rs` | what is remembered of a request: one log line, a few counts |
//! | `own.rs`, `docs.rs`, `openapi/` | what the gateway answers itself |
//! | `status/` | of that, how it is: counted by itself, or by Prometheus for all gateways |
//! | `admin.rs` | the admin port |
//! | `command.rs`, `process.rs` | the binary `gateway`: its command line; what surrounds a gateway in a process of its own |
//! | `standalone.rs`, `kubernetes/`, `config.rs` | where its configuration comes from: a file, or a cluster |
//!
//! Not here: which routes there are (the planner in `stack` says), and whether a token is good (`http_kit::token` says).

mod accept;
mod admission;
mod body;
mod canary;
mod checks;
mod client;
mod config;
mod cors;
mod crowd;
mod docs;
mod edge;
mod exchange;
mod fallback;
mod forward;
mod gateway;
mod gather;
mod headers;
mod host;
mod http2;
mod invitation;
mod kept;
mod kubernetes;
mod late;
mod limits;
mod link;
mod loan;
mod metrics;
mod names;
mod own;
mod pace;
mod patience;
mod place;
mod process;
mod raw_head;
mod refusal;
mod rewrite;
mod room;
mod routing;
mod security;
mod snapshot;
mod standalone;
mod status;
mod target;
mod tunnel;
mod upstream;
mod way;
mod worker;

pub mod admin;
pub mod command;
pub mod openapi;

pub use gateway::{Gateway, GatewayWorld, Listener, StartError};
pub use snapshot::ConfigError;

/// Why the process does not run: one line for whoever started it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
