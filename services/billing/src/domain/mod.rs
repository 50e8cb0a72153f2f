//! What a bill is: pure rules, no SQL, no HTTP, no clock.

pub mod bill;
pub mod parse;
pub mod search;
pub mod status;
