//! [`KeyRing`]: the public keys that tokens may be signed with, by `kid`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use contracts::auth::{AuthClient, JwkSet};
use jsonwebtoken::DecodingKey;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::identity::Part;

/// Auth is asked for its keys at most this often, however many made-up `kid`s a stranger sends.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// Whose key it is, which decides what a token signed with it may claim.
#[derive(Clone)]
pub(crate) enum Signer {
    /// The auth service: any person's token.
    Auth(DecodingKey),
    /// A part of the stack, with as many keys as it has just now: a token for itself.
    Part(Part, Arc<[DecodingKey]>),
}

/// The keys.
pub struct KeyRing {
    auth: ArcSwap<HashMap<String, DecodingKey>>,
    parts: HashMap<Part, Arc<[DecodingKey]>>,
    client: Option<AuthClient>,
    /// Held by whoever asks auth; the others wait for what comes of it.
    last: Mutex<Option<Question>>,
}

/// The last time that auth was asked for its keys.
#[derive(Clone, Copy)]
struct Question {
    at: Instant,
    was_answered: bool,
}

/// Auth could not be asked for its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// A ring that knows the services' keys, and asks auth for its own when it meets one it does not know.
    pub fn new(services: &JwkSet, client: AuthClient) -> Self {
        Self {
            auth: ArcSwap::default(),
            parts: keys_of_parts(services),
            client: Some(client),
            last: Mutex::default(),
        }
    }

    /// A ring with these keys and no others: for a gateway with a key file, and for tests.
    pub fn fixed(auth: &JwkSet, services: &JwkSet) -> Self {
        Self {
            auth: ArcSwap::from_pointee(decoding_keys(auth)),
            parts: keys_of_parts(services),
            client: None,
            last: Mutex::default(),
        }
    }

    /// The key, if it is known or auth says that it is good. That there is no such key is said only by an answer to a question that was put
    /// after this call came: a key that was made a moment ago is found, if need be after a wait.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<Signer>, Unreadable> {
        if let Some(signer) = self.known(kid) {
            return Ok(Some(signer));
        }
        let Some(client) = &self.client else { return Ok(None) };
        let came = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(signer) = self.known(kid) {
            return Ok(Some(signer));
        }
        match *last {
            Some(Question { at, was_answered: true }) if at >= came => return Ok(None),
            Some(Question { at, was_answered: false }) if at >= came => return Err(Unreadable),
            Some(Question { at, was_answered: true }) => {
                tokio::time::sleep_until(at + BETWEEN_QUESTIONS).await;
            }
            // What could not be answered is asked again; a peer that fails is rested by the client.
            _ => {}
        }
        let at = Instant::now();
        let answer = client.jwks().await;
        *last = Some(Question { at, was_answered: answer.is_ok() });
        self.auth.store(Arc::new(decoding_keys(&answer.map_err(|_| Unreadable)?)));
        Ok(self.known(kid))
    }

    fn known(&self, kid: &str) -> Option<Signer> {
        let part = Part::of_kid(kid);
        if let Some((part, keys)) = part.and_then(|part| Some((part, self.parts.get(&part)?))) {
            return Some(Signer::Part(part, Arc::clone(keys)));
        }
        self.auth.load().get(kid).cloned().map(Signer::Auth)
    }
}

/// Each part's keys. What is signed with a key that has no part's name is nobody's.
fn keys_of_parts(set: &JwkSet) -> HashMap<Part, Arc<[DecodingKey]>> {
    let mut parts: HashMap<Part, Vec<DecodingKey>> = HashMap::new();
    for (kid, key) in decoding_keys(set) {
        if let Some(part) = Part::of_kid(&kid) {
            parts.entry(part).or_default().push(key);
        }
    }
    parts.into_iter().map(|(part, keys)| (part, keys.into())).collect()
}

/// Keys of other kinds than Ed25519 are left out: nothing here is signed with them.
fn decoding_keys(set: &JwkSet) -> HashMap<String, DecodingKey> {
    set.keys
        .iter()
        .filter(|jwk| jwk.kty == "OKP" && jwk.crv == "Ed25519")
        .filter_map(|jwk| Some((jwk.kid.clone(), DecodingKey::from_ed_components(&jwk.x).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests;
