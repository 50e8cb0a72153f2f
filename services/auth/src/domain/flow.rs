//! A login at an identity provider that was begun and is to be finished: what is sent there with the browser, and what is kept here.

use chrono::TimeDelta;
use contracts::ambient::Random;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::outside::Identity;

/// A flow is to be finished within this time.
pub const GOOD_FOR: TimeDelta = TimeDelta::minutes(10);
/// So many may be open at once, whoever began them.
pub const OPEN_MAX: i64 = 10_000;

/// What the client holds of a flow: 256 random bits, of which the database keeps a hash. Never shown.
pub struct Flow(String);

impl Flow {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        Self(secret(random))
    }

    /// One that a client presents, of whatever form: what is not ours has a hash that we do not know.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256. No salt and no slow hash: nobody can go through 2²⁵⁶ flows.
    pub fn hash(&self) -> Vec<u8> {
        sha256(self.0.as_bytes())
    }
}

/// What it takes to finish a flow that was begun. Sealed as the row's body.
#[derive(Serialize, Deserialize)]
pub struct Begun {
    /// What the stack calls the provider.
    pub provider: String,
    /// Where the browser comes back to.
    pub redirect_uri: String,
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Shows the provider that whoever redeems the code is who asked for it (RFC 7636).
    pub verifier: String,
}

impl Begun {
    /// A new one.
    pub fn generate(random: &Random, provider: &str, redirect_uri: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state: secret(random),
            nonce: secret(random),
            verifier: secret(random),
        }
    }

    /// What the provider is told of the verifier beforehand (`S256`, RFC 7636 §4.2).
    pub fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&sha256(self.verifier.as_bytes()))
    }

    /// Whether this is the state.
    pub fn is_state(&self, state: &str) -> bool {
        let (ours, theirs) = (self.state.as_bytes(), state.as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(ours, theirs).is_ok()
    }
}

/// Of a flow where the provider has said who it is, and a code of ours is still to come. Sealed as the row's body.
#[derive(Serialize, Deserialize)]
pub struct Proven {
    /// What the stack calls the provider.
    pub provider: String,
    /// Who it is.
    pub identity: Identity,
}

fn secret(random: &Random) -> String {
    BASE64URL_NOPAD.encode(&random.bytes::<32>())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_as_rfc_7636_has_it() {
        // Appendix B.
        let begun = Begun::generate(&Random::seeded(1), "staff", "https://clinic.example/login");
        let begun = Begun { verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(), ..begun };
        assert_eq!(begun.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn whatever_must_not_be_guessed_is_another_each_time() {
        let random = Random::seeded(1);
        let begun = [(); 2].map(|()| Begun::generate(&random, "staff", "https://clinic.example/login"));
        let mut all: Vec<_> = begun.iter().flat_map(|it| [&it.state, &it.nonce, &it.verifier]).collect();
        assert!(all.iter().all(|text| text.len() == 43));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
        assert!(begun[0].is_state(&begun[0].state) && !begun[0].is_state(&begun[1].state));
    }
}
