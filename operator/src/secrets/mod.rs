//! The stack's Secrets: made once, extended when something is added or rotated, and otherwise never written.
//!
//! ```text
//! kek                        current, next or previous           seals the keys that seal the data            outlives the stack
//! signing-keys               <kid>.p8, current                   sign users' tokens                           outlives the stack
//! first-admin                username, password                  the first administrator                      outlives the stack
//! <part>-identity            key.p8                              signs a service's or the gateway's tokens
//! service-identities         jwks.json                           public halves of those
//! internal-ca                signer.crt, signer.key              signs what the parts show each other
//! <part>-tls                 tls.crt, tls.key, ca.crt            a service's or the gateway's certificate, and whom it believes
//! postgres                   password                            superuser of the managed database
//! database-tls               tls.crt, tls.key, ca.crt            its certificate
//! database-<service>         username, password, url, ca.crt     the service's login
//! database-reader            username, password, pg_service.conf, ca.crt    the backup's login
//! database-admin             pg_service.conf, ca.crt, setup.sql  what makes those logins
//! ```
//!
//! [`plan`] decides, from what is there, what is asked for, the time and randomness; [`reconcile()`] reads and writes. What begins with
//! `next-` or `previous-` belongs to a rotation ([`rotation`]) and is read by no pod; `next` and `previous` of `kek` are.

mod authority;
mod certificate;
mod draft;
mod internal;
mod kek;
mod keys;
mod reconcile;
mod roles;
pub mod rotation;
mod scram;
pub mod server;
pub mod setup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use stack::{Database, Stack, names};

use crate::digest::digest;
use crate::plan::Kek;
use draft::Book;
pub use kek::Escrowed;
pub use reconcile::{Come, Failure, Outcome, of_database, reconcile};
pub use roles::{role_name, schemas};
use server::{BadUrl, Server};

/// Parts whose Secrets outlive their stack, in the order in which they are to be deleted when they are not wanted: without the first,
/// nobody reads any of the data again.
pub const KEPT: [&str; 3] = [names::KEK, names::SIGNING_KEYS, names::FIRST_ADMIN];

/// What [`plan`] decides from.
pub struct Request<'a> {
    /// What is asked for.
    pub stack: &'a Stack,
    /// What the Secrets belong to that go with the stack.
    pub owner: &'a OwnerReference,
    /// The stack's Secrets as they are, by object name.
    pub existing: &'a BTreeMap<String, Secret>,
    /// What others made.
    pub sources: &'a Sources,
    /// The rotations asked for: what, and the word it was asked with.
    pub rotate: &'a BTreeMap<String, String>,
    /// Whether every workload runs with the Secrets as they are, no old pod is left, and the Job that makes roles is done: only then does
    /// a rotation go on.
    pub settled: bool,
    /// The key-encryption key under which every service's keys are wrapped, by each service's own word: only then is the previous one given
    /// up.
    pub rewrapped: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
    /// Where keys come from.
    pub random: &'a Random,
}

/// What others made.
#[derive(Clone, Default)]
pub struct Sources {
    /// The database, unless it is managed. `None`: not known yet.
    pub server: Option<Server>,
    /// The key-encryption key to begin with, from `spec.database.restoreFrom.keySecretRef`.
    pub kek: Option<Escrowed>,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// What is to be written, in this order. Nothing, when nothing changed.
    pub changes: Vec<Change>,
    /// Whether a rotation is under way.
    pub rotating: bool,
    /// Whether one of them waits for more than time: pods are to take up another key.
    pub moving: bool,
    /// When there is something to do that nothing else will bring up.
    pub wake_at: Option<DateTime<Utc>>,
    /// What was asked for and is not done, though the rest is.
    pub refused: Vec<Refusal>,
    /// What the plan has to know of the key-encryption keys.
    pub kek: Kek,
    /// What people are to be told, once it is written.
    pub news: Vec<News>,
}

/// What people are to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum News {
    /// Another key-encryption key is used.
    #[error(
        "another key-encryption key is in use: make a new copy of the Secret kek now, and keep the old copy beside it for as long as there \
         are backups of before (docs/keys.md)"
    )]
    KekInUse,
    /// The previous one is gone.
    #[error(
        "the previous key-encryption key opens nothing in the database any more and was taken away; a backup of before still needs it \
         (docs/keys.md)"
    )]
    KekRotated,
}

/// A Secret to be written.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// One that is not there. If it is by now, it is left alone.
    Create(Secret),
    /// One that is there, in the version that was read. If it is another by now, it is left alone.
    Replace(Secret),
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, secret) = match self {
            Self::Create(secret) => ("Create", secret),
            Self::Replace(secret) => ("Replace", secret),
        };
        f.debug_tuple(what).field(&draft::Shown(secret)).finish()
    }
}

/// Why Secrets are not made. Shows nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key-encryption key is gone while other Secrets are there.
    #[error(
        "Secret {secret} is gone. It opens all of the stack's data, so no other is made in its place: put it back (docs/keys.md)"
    )]
    KekLost {
        /// Its name.
        secret: String,
    },
    /// A Secret does not hold what it should.
    #[error(
        "Secret {secret} has no usable {key:?}. It is left as it is; put the right value there, or delete the Secret if it may be made anew"
    )]
    Damaged {
        /// Its name.
        secret: String,
        /// The key, or the annotation.
        key: String,
    },
    /// What should be a key-encryption key is none.
    #[error(
        "the Secret that spec.database.restoreFrom.keySecretRef names does not hold a key-encryption key: 32 bytes in Base64"
    )]
    EscrowedKey,
    /// The external database's URL will not do.
    #[error("the URL that spec.database.external.url names cannot be used: {0}")]
    ExternalUrl(#[from] BadUrl),
    /// Its certificate could not be checked.
    #[error(
        "Secret {secret} needs the key ca.crt beside the URL: the CA certificates that vouch for the database, PEM"
    )]
    ExternalCa {
        /// Its name.
        secret: String,
    },
    /// A Secret that the user names is not there, or has no such key.
    #[error("Secret {secret} is not there, or has no key {key:?}")]
    Missing {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// Somebody else's Secret has the name of one of ours.
    #[error(
        "Secret {secret} is there already and does not belong to this stack: it has not the labels of one that the operator made"
    )]
    Taken {
        /// Its name.
        secret: String,
    },
    /// A rotation that cannot be had.
    #[error("{} asks for something that cannot be rotated; these can: {}", format_args!("{}{what}", rotation::ROTATE), rotation::ROTATABLE.join(", "))]
    Unknown {
        /// What was asked for.
        what: String,
    },
}

/// Whether a Secret goes with its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// It does.
    Stack,
    /// It stays, unless `deletionPolicy` says otherwise.
    Kept,
}

/// Decides what is to be written.
pub fn plan(request: &Request<'_>) -> Result<Planned, Refusal> {
    let mut planned = Planned { refused: refused(request.rotate), ..Planned::default() };
    let mut book = Book::new(request);
    // First, so that nothing else is ever there before it was.
    kek::kek(request, &mut book, &mut planned)?;
    keys::signing(request, &mut book, &mut planned)?;
    keys::identities(request, &mut book, &mut planned)?;
    internal::certificates(request, &mut book, &mut planned)?;
    keys::first_admin(request, &mut book);
    let server = match request.stack.database {
        Database::Managed(_) => {
            let ca = certificate::certificate(request, &mut book, &mut planned)?;
            Some(roles::superuser(request, &mut book, ca)?)
        }
        Database::External(_) | Database::CloudNativePg(_) => request.sources.server.clone(),
    };
    if let Some(server) = server {
        roles::roles(request, &server, &mut book, &mut planned)?;
    }
    planned.changes = book.changes();
    Ok(planned)
}

fn refused(rotate: &BTreeMap<String, String>) -> Vec<Refusal> {
    let unknown = rotate.keys().filter(|what| !rotation::ROTATABLE.contains(&what.as_str()));
    unknown.map(|what| Refusal::Unknown { what: what.clone() }).collect()
}

/// The rotations that a resource's annotations ask for.
pub fn asked(annotations: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let asked = |(key, word): (&String, &String)| {
        Some((key.strip_prefix(rotation::ROTATE)?.to_owned(), word.clone()))
    };
    annotations.into_iter().flatten().filter_map(asked).collect()
}

/// A digest of what rolls the pods that have a Secret of the stack's own, by object name. What only a rotation reads is left out, and so is
/// what pods read again by themselves.
pub fn checksums<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> BTreeMap<String, String> {
    let rolls = |key: &str| {
        !key.starts_with("next-") && !key.starts_with("previous-") && !authority::is_read_again(key)
    };
    secrets
        .into_iter()
        .map(|secret| (secret.metadata.name.clone().unwrap_or_default(), digest_of(secret, rolls)))
        .collect()
}

/// A digest of all that is in a Secret. Shown to nobody if people chose what is in it: see [`Outcome::seal`].
pub fn checksum(secret: &Secret) -> String {
    digest_of(secret, |_| true)
}

fn digest_of(secret: &Secret, counts: impl Fn(&str) -> bool) -> String {
    let mut bytes = Vec::new();
    for (key, value) in secret.data.iter().flatten().filter(|(key, _)| counts(key)) {
        for part in [key.as_bytes(), &value.0] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
    }
    digest(&bytes)
}
