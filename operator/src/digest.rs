//! [`digest`]: a short fingerprint, so that two texts can be told apart by an annotation or a name. [`Seal`]: one that may be shown of what is
//! easily guessed, as people's passwords are.

use aws_lc_rs::digest::{SHA256, digest as sha};
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

/// What a fingerprint is made with that tells nothing of its text: HMAC-SHA-256 with a key that only the operator has. Without a key,
/// fingerprints tell nothing at all.
#[derive(Clone, Debug, Default)]
pub struct Seal(Option<hmac::Key>);

impl Seal {
    /// From a secret of the stack's that stays the same.
    pub fn new(secret: Option<&[u8]>) -> Self {
        const PURPOSE: &[u8] = b"healthcarestack.dev/checksums";
        let derived = secret.map(|secret| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE));
        Self(derived.map(|derived| hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())))
    }

    /// 128 bits, in hex.
    pub fn digest(&self, text: &str) -> String {
        let sum = self.0.as_ref().map(|key| hmac::sign(key, text.as_bytes()));
        short(sum.as_ref().map_or(&[], AsRef::as_ref))
    }
}

/// 128 bits of SHA-256, in hex. It says nothing of what it was made from, as long as that is as hard to guess as a key.
pub fn digest(bytes: &[u8]) -> String {
    short(sha(&SHA256, bytes).as_ref())
}

fn short(sum: &[u8]) -> String {
    let mut text = HEXLOWER.encode(sum);
    text.truncate(32);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_digest_follows_its_text_and_cannot_be_made_without_the_key() {
        let seal = Seal::new(Some(b"a key"));
        assert_eq!(seal.digest("x"), Seal::new(Some(b"a key")).digest("x"));
        assert_ne!(seal.digest("x"), seal.digest("y"));
        assert_ne!(seal.digest("x"), Seal::new(Some(b"another")).digest("x"));
        assert_ne!(seal.digest("x"), digest(b"x"));
        assert_eq!(seal.digest("x").len(), 32);
    }
}
