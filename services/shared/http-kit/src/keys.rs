//! [`KeyRing`]: the public keys that tokens may be signed with, by `kid`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use contracts::auth::{AuthClient, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::identity::Part;

mod foreign;

pub use foreign::{ForeignKeys, Hash, Signed, Unbelieved};

/// Auth is asked for its keys at most this often, however many made-up `kid`s a stranger sends.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
/// Keys that auth has taken back are noticed within this time, even if no new one is met meanwhile.
const GOOD_FOR: Duration = Duration::from_mins(5);

/// Whoever asks for them anew, with a token whose key is known, waits so long.
const ANEW_MAX: Duration = Duration::from_millis(500);

/// A public key, and the one algorithm that it is used with. What a token's header says of the algorithm counts for nothing (RFC 8725 §3.1).
#[derive(Clone)]
pub(crate) struct PublicKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// Whose key it is, which decides what a token signed with it may claim.
#[derive(Clone)]
pub(crate) enum Signer {
    /// The auth service: any person's token.
    Auth(PublicKey),
    /// A part of the stack, with as many keys as it has just now: a token for itself.
    Part(Part, Arc<[PublicKey]>),
}

/// The keys.
pub struct KeyRing {
    auth: ArcSwap<HashMap<String, (Jwk, PublicKey)>>,
    /// Goes up when a key of auth's is no longer good.
    edition: AtomicU64,
    parts: HashMap<Part, Arc<[PublicKey]>>,
    client: Option<AuthClient>,
    /// Held by whoever asks auth; the others wait for what comes of it.
    asked: Mutex<Asked>,
}

/// What auth was asked so far.
#[derive(Default)]
struct Asked {
    last: Option<Question>,
    /// The last time that it was about to be asked for keys that are known.
    anew: Option<Instant>,
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
            edition: AtomicU64::default(),
            parts: keys_of_parts(services),
            client: Some(client),
            asked: Mutex::default(),
        }
    }

    /// A ring with these keys and no others: for a gateway with a key file, and for tests.
    pub fn fixed(auth: &JwkSet, services: &JwkSet) -> Self {
        Self {
            auth: ArcSwap::from_pointee(public_keys(auth)),
            edition: AtomicU64::default(),
            parts: keys_of_parts(services),
            client: None,
            asked: Mutex::default(),
        }
    }

    /// Puts other keys in the place of auth's.
    pub fn replace(&self, auth: &JwkSet) {
        let keys = public_keys(auth);
        let before = self.auth.swap(Arc::new(keys));
        let now = self.auth.load();
        if before.iter().any(|(kid, (jwk, _))| now.get(kid).is_none_or(|(same, _)| same != jwk)) {
            self.edition.fetch_add(1, Ordering::Release);
        }
    }

    /// Of which edition the keys are: what was verified with those of an earlier one is verified again.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The key, if it is known or auth says that it is good. That there is no such key is said only by an answer to a question that was put
    /// after this call came: a key that was made a moment ago is found, if need be after a wait.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<Signer>, Unreadable> {
        if let Some(signer) = self.known(kid) {
            return Ok(if self.read_anew().await { self.known(kid) } else { Some(signer) });
        }
        let Some(client) = &self.client else { return Ok(None) };
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        if let Some(signer) = self.known(kid) {
            return Ok(Some(signer));
        }
        match asked.last {
            Some(Question { at, was_answered: true }) if at >= came => return Ok(None),
            Some(Question { at, was_answered: false }) if at >= came => return Err(Unreadable),
            Some(Question { at, was_answered: true }) => {
                tokio::time::sleep_until(at + BETWEEN_QUESTIONS).await;
            }
            // What could not be answered is asked again; a peer that fails is rested by the client.
            _ => {}
        }
        if self.ask(client, &mut asked).await { Ok(self.known(kid)) } else { Err(Unreadable) }
    }

    /// Asks auth once its keys have been known for long; whoever comes meanwhile goes by what is known, and so does everybody if auth does not
    /// answer.
    async fn read_anew(&self) -> bool {
        let Some(client) = &self.client else { return false };
        let Ok(mut asked) = self.asked.try_lock() else { return false };
        let is_old = |at: Instant| at.elapsed() >= GOOD_FOR;
        if !asked.last.is_some_and(|question| is_old(question.at)) || !asked.anew.is_none_or(is_old) {
            return false;
        }
        // Noted before it is done, so that whoever gives up waiting has asked all the same, and the next one does not wait too.
        asked.anew = Some(Instant::now());
        timeout(ANEW_MAX, self.ask(client, &mut asked)).await.unwrap_or(false)
    }

    /// Answers whether auth did.
    async fn ask(&self, client: &AuthClient, asked: &mut Asked) -> bool {
        let at = Instant::now();
        // The answer is for all who wait, however little time the one has who happens to ask.
        let answer = contracts::deadline::within(None, client.jwks()).await;
        asked.last = Some(Question { at, was_answered: answer.is_ok() });
        let Ok(keys) = answer else { return false };
        self.replace(&keys);
        true
    }

    fn known(&self, kid: &str) -> Option<Signer> {
        let part = Part::of_kid(kid);
        if let Some((part, keys)) = part.and_then(|part| Some((part, self.parts.get(&part)?))) {
            return Some(Signer::Part(part, Arc::clone(keys)));
        }
        self.auth.load().get(kid).map(|(_, key)| Signer::Auth(key.clone()))
    }
}

/// Each part's keys. What is signed with a key that has no part's name is nobody's.
fn keys_of_parts(set: &JwkSet) -> HashMap<Part, Arc<[PublicKey]>> {
    let mut parts: HashMap<Part, Vec<PublicKey>> = HashMap::new();
    for (kid, (_, key)) in public_keys(set) {
        if let Some(part) = Part::of_kid(&kid) {
            parts.entry(part).or_default().push(key);
        }
    }
    parts.into_iter().map(|(part, keys)| (part, keys.into())).collect()
}

/// Keys that are not understood, or not for signatures, are passed over (RFC 7517 §5).
fn public_keys(set: &JwkSet) -> HashMap<String, (Jwk, PublicKey)> {
    let keys = set.keys.iter().filter_map(|jwk| Some((jwk.kid.clone(), (jwk.clone(), public_key(jwk)?))));
    keys.collect()
}

fn public_key(jwk: &Jwk) -> Option<PublicKey> {
    if jwk.kid.is_empty() || jwk.usage.as_ref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let (algorithm, name, key) = match (&*jwk.kty, jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => {
            (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(jwk.x.as_deref()?))
        }
        ("EC", Some("P-256")) => {
            let key = DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?);
            (Algorithm::ES256, "ES256", key)
        }
        // Below 2048 bits nothing verifies (RFC 7518 §3.3): aws-lc sees to that.
        ("RSA", None) => {
            let key = DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?);
            (Algorithm::RS256, "RS256", key)
        }
        _ => return None,
    };
    // RFC 9864 calls the first by its curve.
    let is_named = |alg: &String| alg == name || (name == "EdDSA" && alg == "Ed25519");
    let is_meant = jwk.alg.as_ref().is_none_or(is_named);
    Some(PublicKey { algorithm, key: key.ok().filter(|_| is_meant)? })
}

#[cfg(test)]
mod tests;
