//! The documented API and the promises of the README, against the real program over TCP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong fails the test")]

mod access;
mod audit;
mod availability;
mod bad_input;
mod bookings;
mod canaries;
mod documented;
mod durability;
mod lifecycle;
mod privacy;
mod restored;
mod rotation;
mod security_page;
mod sender;
mod signing_keys;
mod supply_chain;
mod traces;
mod two_processes;
mod upstream_http2;
