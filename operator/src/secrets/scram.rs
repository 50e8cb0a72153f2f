//! [`verifier`]: what PostgreSQL keeps in a password's place (RFC 5802, RFC 7677).
//!
//! The server is told this rather than the password, so that no statement and no log of statements ever holds one.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use data_encoding::BASE64;

/// PostgreSQL's own default. Our passwords have 160 random bits: it is not iterations that protect them.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_LEN: usize = 16;

/// The verifier of a password. The same for the same role and password, so that a stack at rest writes nothing.
pub(super) fn verifier(role: &str, password: &str) -> String {
    let salt = digest::digest(&digest::SHA256, format!("salt\0{role}\0{password}").as_bytes());
    let salt = &salt.as_ref()[..SALT_LEN];
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored.as_ref()),
        BASE64.encode(server.as_ref())
    )
}
