//! The keys that access tokens are signed with: Ed25519, in files of the secret `signing-keys`.
//!
//! ```text
//! <kid>.p8         a key; all of them are published, and what was signed with one of them is good
//! current          the kid of the one to sign with; without it that is the last in the order of names
//! <kid>.replaced   since when the key signs nothing any more (RFC 3339): when all that it signed has expired, it is published no more
//! ```
//!
//! So a key can be exchanged while everything runs: first published, then signed with, and not believed when the last token signed with it
//! has expired. The files are read again every second. Where several replicas run, all must publish a key before one signs with it, or one
//! that was not asked to yet would not know it.

use std::convert::Infallible;
use std::sync::Arc;
use std::{fmt, io};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta};
use contracts::ambient::Clock;
use contracts::auth::JwkSet;
use db::{SecretError, Secrets};
use http_kit::identity::{BadKey, Part, public_jwk};
use http_kit::token::{Claims, Verifier};
use jsonwebtoken::EncodingKey;
use settings::SecretRef;

const SECRET: &str = "signing-keys";
/// Names the key to sign with.
const CURRENT: &str = "current";
/// Clocks differ, and a process learns a second late that another key signs: a token may be so much younger than the note of its key's end.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// The key to sign with, and the public halves of all that are believed.
pub struct SigningKeys {
    secrets: Secrets,
    clock: Clock,
    /// How long a key is believed once it signs nothing any more.
    overlap: TimeDelta,
    current: ArcSwap<Current>,
}

/// What was made of the files as they were read last.
struct Current {
    kid: String,
    key: EncodingKey,
    public: JwkSet,
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The secret is empty.
    #[error("the secret {SECRET} holds no key: put an Ed25519 private key (PKCS #8, DER) there as KID.p8")]
    None,
    /// A file is no key.
    #[error("the secret {SECRET}/{kid}.p8 is not an Ed25519 private key (PKCS #8, DER)")]
    Bad {
        /// Which.
        kid: String,
    },
    /// A service's own key has this name: tokens of a service could not be told from those of people.
    #[error("the secret {SECRET}/{kid}.p8 must not have a service's name")]
    ServiceName {
        /// Which.
        kid: String,
    },
    /// The current key is not there.
    #[error("the secret {SECRET}/{CURRENT} names {kid:?}, of which there is no key")]
    NoCurrent {
        /// Which.
        kid: String,
    },
    /// Since when a key signs nothing any more cannot be read.
    #[error("the secret {SECRET}/{kid}.replaced is not a time such as 2026-01-31T12:00:00Z")]
    BadTime {
        /// Which.
        kid: String,
    },
}

impl SigningKeys {
    /// Reads the keys for the first time. A token lives so long.
    pub fn load(secrets: &Secrets, clock: &Clock, token_life: TimeDelta) -> Result<Arc<Self>, SigningError> {
        let overlap = token_life + GRACE;
        let current = ArcSwap::from_pointee(read(secrets, clock, overlap)?);
        Ok(Arc::new(Self { secrets: secrets.clone(), clock: clock.clone(), overlap, current }))
    }

    /// Reads them again. If they cannot be used, those in use stay. Whoever believes them here is told before one signs that they do not know.
    pub fn reload(&self, believe: impl FnOnce(&JwkSet)) -> Result<(), SigningError> {
        let read = read(&self.secrets, &self.clock, self.overlap)?;
        let present = self.current.load();
        if (&read.kid, &read.public) != (&present.kid, &present.public) {
            tracing::info!(kid = read.kid, published = read.public.keys.len(), "other signing keys");
            believe(&read.public);
            self.current.store(Arc::new(read));
        }
        Ok(())
    }

    /// Signs with the current key.
    pub fn sign(&self, claims: &Claims) -> String {
        let current = self.current.load();
        claims.sign(&current.key, &current.kid)
    }

    /// The one that signs, and the public halves of all, as they are at one moment.
    pub fn told(&self) -> (String, JwkSet) {
        let current = self.current.load();
        (current.kid.clone(), current.public.clone())
    }

    /// The public halves.
    pub fn public(&self) -> JwkSet {
        self.current.load().public.clone()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("kid", &self.current.load().kid).finish_non_exhaustive()
    }
}

/// Keeps to the files for as long as the future lives. This process's own verifier need not ask for what stands here.
pub async fn follow(keys: Arc<SigningKeys>, verifier: Arc<Verifier>) -> Infallible {
    let reload = || keys.reload(|public| verifier.replace_keys(public)).map_err(io::Error::other);
    let told = |error: &str| tracing::warn!(error, "the signing keys cannot be used; those before stay");
    tls::follow(reload, told).await
}

fn read(secrets: &Secrets, clock: &Clock, overlap: TimeDelta) -> Result<Current, SigningError> {
    let files = secrets.list(SECRET)?;
    let kids: Vec<&str> = files.iter().filter_map(|file| file.strip_suffix(".p8")).collect();
    let current = if files.iter().any(|file| file == CURRENT) {
        secrets.read_text(&reference(CURRENT))?.trim().to_owned()
    } else {
        (*kids.last().ok_or(SigningError::None)?).to_owned()
    };
    let (mut key, mut public) = (None, JwkSet::default());
    for kid in kids {
        if Part::of_kid(kid).is_some() {
            return Err(SigningError::ServiceName { kid: kid.to_owned() });
        }
        let note = format!("{kid}.replaced");
        if kid != current && files.contains(&note) && clock.now() >= time(secrets, kid, &note)? + overlap {
            continue;
        }
        let pkcs8 = secrets.read(&reference(&format!("{kid}.p8")))?;
        let jwk = public_jwk(kid, &pkcs8).map_err(|BadKey| SigningError::Bad { kid: kid.to_owned() })?;
        public.keys.push(jwk);
        if kid == current {
            key = Some(EncodingKey::from_ed_der(&pkcs8));
        }
    }
    match key {
        Some(key) => Ok(Current { kid: current, key, public }),
        None => Err(SigningError::NoCurrent { kid: current }),
    }
}

fn time(secrets: &Secrets, kid: &str, note: &str) -> Result<DateTime<chrono::Utc>, SigningError> {
    let text = secrets.read_text(&reference(note))?;
    let time = DateTime::parse_from_rfc3339(text.trim());
    time.map(|time| time.to_utc()).map_err(|_| SigningError::BadTime { kid: kid.to_owned() })
}

fn reference(key: &str) -> SecretRef {
    SecretRef { secret: SECRET.to_owned(), key: key.to_owned() }
}

#[cfg(test)]
mod tests;
