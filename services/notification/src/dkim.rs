//! [`Signer`]: mail signed by its sender's domain (DKIM, RFC 6376), by RSA or Ed25519 (RFC 8463), with relaxed canonicalization of headers and body.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256};
use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use db::{SecretError, Secrets};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use settings::DkimSettings;
use zeroize::Zeroizing;

/// What is signed of the headers, as far as a mail has it (RFC 6376 §5.4.1; RFC 8058 §4). Not what submission servers are known to write anew, as
/// `Message-ID`.
const SIGNED: [&str; 12] = [
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    "list-unsubscribe",
    "list-unsubscribe-post",
];
/// What is signed once more than a mail has it, so that nobody adds another one that is shown in its place (RFC 6376 §8.15).
const SIGNED_ONCE_MORE: [&str; 6] = ["from", "to", "cc", "reply-to", "subject", "content-type"];
/// Shorter keys can be broken, and some receivers believe none (RFC 8301 §3.2).
const RSA_BYTES_MIN: usize = 2048 / 8;

/// The key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no private key in PEM, of RSA with 2048 bits or more or of Ed25519")]
pub struct BadKey;

/// A mail was not signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error("The key that signs mail is missing: {0}.")]
    Missing(#[from] SecretError),
    #[error("The key that signs mail {0}.")]
    BadKey(#[from] BadKey),
}

/// Signs for a domain.
pub(crate) struct Signer {
    settings: DkimSettings,
    secrets: Secrets,
    /// With the text that it was read from.
    key: Mutex<Option<(Zeroizing<String>, Arc<Key>)>>,
}

impl Signer {
    /// For this domain. The key is read at each signature, so that a new one is seen; one that is there and no key is a fault now.
    pub(crate) fn new(settings: &DkimSettings, secrets: Secrets) -> Result<Self, BadKey> {
        let signer = Self { settings: settings.clone(), secrets, key: Mutex::default() };
        match signer.key() {
            Err(NotSigned::BadKey(bad)) => Err(bad),
            Ok(_) | Err(NotSigned::Missing(_)) => Ok(signer),
        }
    }

    /// The mail with its signature before it. The same mail has the same one.
    pub(crate) fn signed(&self, mail: &[u8], signed_at: DateTime<Utc>) -> Result<Vec<u8>, NotSigned> {
        let key = self.key()?;
        let (head, body) = split(mail);
        let headers = headers(head);
        let names = signed_names(&headers);
        let DkimSettings { domain, selector, .. } = &self.settings;
        let (body_hash, at) =
            (BASE64.encode(digest(&SHA256, &relaxed_body(body)).as_ref()), signed_at.timestamp());
        let unsigned = format!(
            "v=1; a={}; c=relaxed/relaxed; d={domain}; s={selector};\r\n t={at}; h={};\r\n bh={body_hash};\r\n b=",
            key.algorithm(),
            names.join(":\r\n  "),
        );
        let mut hashed = Vec::new();
        for value in taken(&headers, &names) {
            hashed.extend_from_slice(&value);
            hashed.extend_from_slice(b"\r\n");
        }
        // Its own header comes last, without what it is to hold, and without an end (RFC 6376 §3.7).
        hashed.extend_from_slice(&relaxed_header("DKIM-Signature", unsigned.as_bytes()));
        let signature = BASE64.encode(&key.sign(&hashed)?);
        let mut signed = format!("DKIM-Signature: {unsigned}{}\r\n", folded(&signature)).into_bytes();
        signed.extend_from_slice(mail);
        Ok(signed)
    }

    fn key(&self) -> Result<Arc<Key>, NotSigned> {
        let pem = self.secrets.read_text(&self.settings.private_key)?;
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, key)) = &*known
            && *from == pem
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(Key::from_pem(&pem)?);
        *known = Some((pem, Arc::clone(&key)));
        Ok(key)
    }
}

/// A private key.
enum Key {
    Rsa(rsa::KeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey)?;
        let rsa = match &der {
            PrivateKeyDer::Pkcs8(der) => {
                // Of version 1 too, which has no public key in it: so OpenSSL writes it.
                if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
                    return Ok(Self::Ed25519(key));
                }
                rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der())
            }
            other => rsa::KeyPair::from_der(other.secret_der()),
        };
        let long_enough = |key: &rsa::KeyPair| key.public_modulus_len() >= RSA_BYTES_MIN;
        rsa.ok().filter(long_enough).map(Self::Rsa).ok_or(BadKey)
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BadKey> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
                    .map_err(|_| BadKey)?;
                Ok(signature)
            }
            // RFC 8463 §3: the hash is what is signed.
            Self::Ed25519(key) => Ok(key.sign(digest(&SHA256, text).as_ref()).as_ref().to_vec()),
        }
    }
}

/// What is before the first empty line, and what is after it.
fn split(mail: &[u8]) -> (&[u8], &[u8]) {
    match mail.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(at) => (&mail[..at + 2], &mail[at + 4..]),
        None => (mail, &[]),
    }
}

/// The headers: each its name in small letters, and its value, lines and all.
fn headers(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = headers.last_mut() {
                value.extend_from_slice(line);
            }
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let name = String::from_utf8_lossy(&line[..colon]).trim_end().to_ascii_lowercase();
            headers.push((name, line[colon + 1..].to_vec()));
        }
    }
    headers
}

/// What stands in `h=`: each header as often as it is there, and some once more.
fn signed_names(headers: &[(String, Vec<u8>)]) -> Vec<&'static str> {
    let count = |name: &str| headers.iter().filter(|(known, _)| known == name).count();
    let mut names = Vec::new();
    for name in SIGNED {
        let times = count(name) + usize::from(SIGNED_ONCE_MORE.contains(&name));
        names.extend(std::iter::repeat_n(name, times));
    }
    names
}

/// The headers with these names as they are hashed, of several with one name the last first (RFC 6376 §5.4.2). What is not there is nothing.
fn taken(headers: &[(String, Vec<u8>)], names: &[&str]) -> Vec<Vec<u8>> {
    let mut left: Vec<_> = headers.iter().collect();
    let mut taken = Vec::new();
    for name in names {
        if let Some(at) = left.iter().rposition(|(known, _)| known == name) {
            let (_, value) = left.remove(at);
            taken.push(relaxed_header(name, value));
        }
    }
    taken
}

/// RFC 6376 §3.4.2, without an end.
fn relaxed_header(name: &str, value: &[u8]) -> Vec<u8> {
    let unfolded: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut line = name.to_ascii_lowercase().into_bytes();
    line.push(b':');
    line.extend_from_slice(single_spaced(&unfolded).trim_ascii());
    line
}

/// RFC 6376 §3.4.4.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut relaxed = Vec::with_capacity(body.len() + 2);
    // As long as it is up to the last line that is not empty.
    let mut end = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let line = single_spaced(line.strip_suffix(b"\r").unwrap_or(line));
        let line = line.strip_suffix(b" ").unwrap_or(&line);
        relaxed.extend_from_slice(line);
        relaxed.extend_from_slice(b"\r\n");
        if !line.is_empty() {
            end = relaxed.len();
        }
    }
    relaxed.truncate(end);
    relaxed
}

/// Each run of blanks as one.
fn single_spaced(line: &[u8]) -> Vec<u8> {
    let mut spaced = Vec::with_capacity(line.len());
    for byte in line {
        match byte {
            b' ' | b'\t' if spaced.last() == Some(&b' ') => {}
            b' ' | b'\t' => spaced.push(b' '),
            byte => spaced.push(*byte),
        }
    }
    spaced
}

/// On lines of their own: blanks within a signature are passed over (RFC 6376 §3.5).
fn folded(signature: &str) -> String {
    let lines: Vec<_> = signature.as_bytes().chunks(72).map(String::from_utf8_lossy).collect();
    lines.join("\r\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_standards_example_is_relaxed_as_it_says() {
        // RFC 6376 §3.4.5.
        let mail = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let (head, body) = split(mail);
        let headers = headers(head);
        let relaxed: Vec<_> = headers.iter().map(|(name, value)| relaxed_header(name, value)).collect();
        assert_eq!(relaxed.iter().map(|line| text(line)).collect::<Vec<_>>(), ["a:X", "b:Y Z"]);
        assert_eq!(text(&relaxed_body(body)), " C\r\nD E\r\n");
        // §3.4.4: a body of nothing is nothing.
        for nothing in [&b""[..], b"\r\n", b"\r\n \r\n\t\r\n"] {
            assert_eq!(text(&relaxed_body(nothing)), "");
        }
        assert_eq!(text(&relaxed_body(b"no end")), "no end\r\n");
    }

    #[test]
    fn of_several_headers_the_last_is_taken_first_and_one_more_is_nothing() {
        let headers = headers(b"To: a\r\nSubject: first\r\nSubject: second\r\nX-Other: b\r\n");
        let names = signed_names(&headers);
        assert_eq!(
            names,
            ["from", "to", "to", "cc", "reply-to", "subject", "subject", "subject", "content-type",]
        );
        let taken: Vec<_> = taken(&headers, &names).into_iter().map(|line| text(&line).to_owned()).collect();
        assert_eq!(taken, ["to:a", "subject:second", "subject:first"]);
    }

    #[test]
    fn what_is_no_key_is_none_and_neither_is_a_short_one() {
        for pem in ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(Key::from_pem(pem).is_err());
        }
    }

    #[test]
    fn with_a_key_that_is_none_nothing_starts_and_one_that_is_missing_may_come() {
        let folder = tempfile::tempdir().unwrap();
        let signer = || {
            let settings = DkimSettings {
                domain: "clinic.example".to_owned(),
                selector: "s".to_owned(),
                private_key: settings::SecretRef { secret: "dkim".to_owned(), key: "s.pem".to_owned() },
            };
            Signer::new(&settings, Secrets::new(folder.path())).map(drop)
        };
        assert_eq!(signer(), Ok(()));
        std::fs::create_dir(folder.path().join("dkim")).unwrap();
        std::fs::write(folder.path().join("dkim/s.pem"), "no key").unwrap();
        assert_eq!(signer(), Err(BadKey));
    }
}
