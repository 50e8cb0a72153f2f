//! The stack seen from outside: [`Healthcare`] starts the real program, [`Client`] speaks to it over TCP, [`document`] reads the
//! user's own description of the API, [`documented`] makes every call of it.
//!
//! Nothing here knows what is inside the program: what these tests see is what its users see.

#![allow(clippy::panic, reason = "a library for tests: what goes wrong fails the test")]

pub mod client;
pub mod document;
pub mod documented;
pub mod healthcare;

pub use client::{Client, Reply};
pub use healthcare::{Healthcare, Setup};
