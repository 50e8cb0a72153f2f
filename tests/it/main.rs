//! The documented API and the promises of the README, against the real program over TCP.

mod bad_input;
mod documented;
mod durability;
mod lifecycle;
mod privacy;
