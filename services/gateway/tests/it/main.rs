//! The gateway from outside: real sockets, real backends, and clients that behave and that do not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod auth;
mod backend;
mod bounds;
mod browsers;
mod canary;
mod change;
mod connections;
mod cors;
mod deadline;
mod documented;
mod edge;
mod failures;
mod fallback;
mod faults;
mod fleet;
mod forwarding;
mod front;
mod front_tls;
mod health;
mod hedge;
mod house;
mod http2;
mod kubernetes;
mod limits;
mod limits_store;
mod openapi;
mod overload;
mod own;
mod places;
mod process;
mod prometheus;
mod redis;
mod routing;
mod slow;
mod smuggling;
mod streaming;
mod told;
mod traces;
mod upstream_http2;
mod upstream_tls;
mod websocket;
mod wire;
