//! [`Verifiers`]: what PostgreSQL keeps in a password's place (RFC 5802, RFC 7677).
//!
//! The server is told this rather than the password, so that no statement and no log of statements ever holds one.
//!
//! Making one takes thousands of rounds, milliseconds of a processor, and a stack has nine logins. So those that were made before are taken
//! from where they were written: a verifier's salt is a digest of the role and the password, and so tells whose it is.

use std::collections::HashMap;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use data_encoding::BASE64;

/// PostgreSQL's own default. Our passwords have 160 random bits: it is not iterations that protect them.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_LEN: usize = 16;
const PREFIX: &str = "SCRAM-SHA-256$";

/// Verifiers that were made before.
#[derive(Default)]
pub(super) struct Verifiers<'a>(HashMap<&'a str, &'a str>);

impl<'a> Verifiers<'a> {
    /// Those that stand between quotes in a text of SQL.
    pub(super) fn read(sql: &'a str) -> Self {
        let quoted = sql.split('\'').filter(|quoted| quoted.starts_with(PREFIX));
        Self(quoted.filter_map(|verifier| Some((salt_of(verifier)?, verifier))).collect())
    }

    /// The verifier of a password. The same for the same role and password, so that a stack at rest writes nothing.
    pub(super) fn verifier(&self, role: &str, password: &str) -> String {
        let salt = digest::digest(&digest::SHA256, format!("salt\0{role}\0{password}").as_bytes());
        let salt = &salt.as_ref()[..SALT_LEN];
        let known = self.0.get(BASE64.encode(salt).as_str());
        known.map_or_else(|| make(salt, password), |known| (*known).to_owned())
    }
}

/// The salt of a verifier that is whole and has as many rounds as those that are made now.
fn salt_of(verifier: &str) -> Option<&str> {
    let (rounds, rest) = verifier.strip_prefix(PREFIX)?.split_once(':')?;
    let (salt, keys) = rest.split_once('$')?;
    let (stored, server) = keys.split_once(':')?;
    let is_key =
        |text: &str| BASE64.decode(text.as_bytes()).is_ok_and(|key| key.len() == digest::SHA256_OUTPUT_LEN);
    (rounds.parse() == Ok(ITERATIONS) && is_key(stored) && is_key(server)).then_some(salt)
}

fn make(salt: &[u8], password: &str) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "{PREFIX}{ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored.as_ref()),
        BASE64.encode(server.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_that_was_made_before_is_taken_from_where_it_was_written() {
        let none = Verifiers::default();
        let made = none.verifier("patient_a", "secret");
        let other = none.verifier("patient_b", "secret");
        assert_ne!(made, other, "a role of its own salt");
        let sql = format!(
            "alter role \"patient_a\" password '{made}';\nalter role \"patient_b\" password '{other}';"
        );
        let known = Verifiers::read(&sql);
        assert_eq!(known.0.len(), 2);
        assert_eq!(known.verifier("patient_a", "secret"), made);
        assert_eq!(known.verifier("patient_a", "another"), none.verifier("patient_a", "another"));
    }

    #[test]
    fn what_is_not_whole_is_made_anew() {
        let made = Verifiers::default().verifier("patient_a", "secret");
        let cut = &made[..made.len() - 8];
        let fewer = made.replace("$4096:", "$1:");
        for damaged in [cut, fewer.as_str(), "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:c2FsdA==$"] {
            let sql = format!("password '{damaged}'");
            assert_eq!(Verifiers::read(&sql).verifier("patient_a", "secret"), made, "{damaged}");
        }
    }
}
