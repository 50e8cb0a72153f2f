//! [`KeyRing`]: the public keys that tokens may be signed with, by `kid`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use contracts::ambient::Clock;
use contracts::auth::{AuthClient, JwkSet};
use jsonwebtoken::DecodingKey;

use crate::identity::Part;

/// A stranger who sends made-up `kid`s makes us ask auth for its keys at most this often, seconds.
const REFRESH_SECONDS: i64 = 1;

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
    clock: Clock,
    asked_at: AtomicI64,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// A ring that knows the services' keys, and asks auth for its own when it meets one it does not know.
    pub fn new(services: &JwkSet, client: AuthClient, clock: Clock) -> Self {
        Self {
            auth: ArcSwap::default(),
            parts: keys_of_parts(services),
            client: Some(client),
            clock,
            asked_at: AtomicI64::new(i64::MIN),
        }
    }

    /// A ring with these keys and no others: for a gateway with a key file, and for tests.
    pub fn fixed(auth: &JwkSet, services: &JwkSet, clock: Clock) -> Self {
        Self {
            auth: ArcSwap::from_pointee(decoding_keys(auth)),
            parts: keys_of_parts(services),
            client: None,
            clock,
            asked_at: AtomicI64::new(i64::MIN),
        }
    }

    /// The key, if it is known or auth says that it is good.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<Signer>, contracts::client::ClientError> {
        if let Some(signer) = self.known(kid) {
            return Ok(Some(signer));
        }
        let Some(client) = &self.client else { return Ok(None) };
        let now = self.clock.now().timestamp();
        let asked_at = self.asked_at.load(Ordering::Acquire);
        let never_answered = self.auth.load().is_empty();
        if now.saturating_sub(asked_at) < REFRESH_SECONDS && !never_answered {
            return Ok(None);
        }
        self.asked_at.store(now, Ordering::Release);
        self.auth.store(Arc::new(decoding_keys(&client.jwks().await?)));
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
