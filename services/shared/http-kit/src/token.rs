//! Tokens: what they claim, and [`Verifier`], which says who calls.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::ambient::Clock;
use contracts::auth::JwkSet;
use contracts::id::{PatientId, ProviderId};
use contracts::permission::Permissions;
use contracts::role_name::RoleName;
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::caller::{Caller, Made, Reach, View};
use crate::identity::Part;
use crate::keys::{KeyRing, PublicKey, Signer, Unreadable};
use crate::revocation::RevocationList;

/// Clocks of two machines may differ by so much, seconds.
const SKEW_SECONDS: i64 = 5;
/// Longer than any token of ours.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// What the `sub` of a part of the stack begins with.
pub(crate) const PART_PREFIX: &str = "service:";
const CACHE_SHARDS: usize = 16;
const CACHE_PER_SHARD_MAX: usize = 1_024;

/// What a token says (RFC 7519 §4.1, RFC 9068 §2.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom it is. Of several names the first.
    #[serde(deserialize_with = "first_name")]
    pub aud: String,
    /// Whose it is: a user's id, or `service:` and a name.
    pub sub: String,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The token's own id.
    #[serde(default)]
    pub jti: String,
    /// Issued, seconds since 1970.
    pub iat: i64,
    /// Issued, milliseconds since 1970: a token issued right after a revocation must not be taken for one before it. Another issuer's tokens
    /// do not say it, and then the second's beginning counts.
    #[serde(default)]
    pub iat_ms: Option<i64>,
    /// Good until, seconds since 1970.
    pub exp: i64,
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What they are.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What they may do, names separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// Those of the roles that were made here, each with what it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Whether they may do nothing but enrol a second factor. Such a token has no role and no permission either, so that a version that
    /// does not know this lets nobody in for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_enrols: bool,
    /// The patient they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// A role that was made here, in a token: nobody else has to ask what it may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub role: String,
    /// What it may do, names separated by spaces.
    pub scope: String,
}

impl From<(&RoleName, &Permissions)> for Grant {
    fn from((role, permissions): (&RoleName, &Permissions)) -> Self {
        Self { role: role.to_string(), scope: permissions.to_scope() }
    }
}

impl Claims {
    /// The token.
    ///
    /// # Panics
    /// Never with an Ed25519 key, which is checked where it is read.
    pub fn sign(&self, key: &EncodingKey, kid: &str) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        #[expect(
            clippy::expect_used,
            reason = "the key was checked when it was read, and claims always serialize"
        )]
        jsonwebtoken::encode(&header, self, key).expect("an Ed25519 key signs")
    }
}

/// Why a token is not accepted. The caller is told no more than that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("there is no bearer token")]
    Missing,
    /// It is not a token of ours.
    #[error("the token is not valid")]
    Invalid,
    /// It is past its time.
    #[error("the token has expired")]
    Expired,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Nobody can say just now: the keys cannot be read.
    #[error("the signing keys cannot be read just now")]
    Unavailable,
    /// Nobody can say just now: who was logged out was never read.
    #[error("it cannot be read just now who was logged out")]
    Unread,
    /// It is good for reading, but who was logged out was last read too long ago for changes.
    #[error("it was not heard for too long who was logged out; until it is, nothing is changed")]
    Stale,
}

/// Says who calls. Verified tokens are remembered until they expire; expiry and revocation are checked every time.
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: KeyRing,
    revoked: Arc<RevocationList>,
    clock: Clock,
    hasher: RandomState,
    cache: [Mutex<HashMap<Box<str>, Arc<Caller>>>; CACHE_SHARDS],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier of tokens from this issuer for this audience.
    pub fn new(
        issuer: &str,
        audience: &str,
        keys: KeyRing,
        revoked: Arc<RevocationList>,
        clock: Clock,
    ) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            keys,
            revoked,
            clock,
            hasher: RandomState::new(),
            cache: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// What was revoked.
    pub fn revocations(&self) -> &Arc<RevocationList> {
        &self.revoked
    }

    /// Who calls with this `Authorization` header.
    pub async fn authorize(&self, header: Option<&str>) -> Result<Arc<Caller>, TokenError> {
        self.verify(bearer(header)?).await
    }

    /// Whose token this is.
    pub async fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        if let Some(known) = self.recall(token) {
            return known;
        }
        // Before anything else: keys that go meanwhile make an end of this one too.
        let keys_edition = self.keys.edition();
        let claims = self.claims(token).await?;
        let caller = Arc::new(Caller { keys_edition, ..caller(claims)? });
        self.still_good(&caller)?;
        self.remember(token, &caller);
        Ok(caller)
    }

    /// [`Verifier::verify`] for a token seen before, without waiting; `None` for one that was not, or that must be verified again.
    pub fn recall(&self, token: &str) -> Option<Result<Arc<Caller>, TokenError>> {
        let caller = self.shard(token).lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()?;
        self.again(&caller).map(|good| good.map(|()| caller))
    }

    /// Whether a token that was verified before is good now; `None` if it must be verified again, since a key has gone meanwhile.
    pub fn again(&self, caller: &Caller) -> Option<Result<(), TokenError>> {
        (caller.keys_edition == self.keys.edition()).then(|| self.still_good(caller))
    }

    /// Whether somebody whose token is good may change something just now, whatever their permissions.
    pub fn permits_change(&self, caller: &Caller) -> Result<(), TokenError> {
        if self.revoked.is_stale() && !caller.is_part() { Err(TokenError::Stale) } else { Ok(()) }
    }

    /// Puts other keys in the place of auth's. What was verified with one that is not among them is not good any more.
    pub fn replace_keys(&self, auth: &JwkSet) {
        self.keys.replace(auth);
    }

    /// What a token claims whose signature is ours, whether or not it has expired or was revoked: for logout.
    pub async fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let signer = self.keys.find(&kid).await.map_err(|Unreadable| TokenError::Unavailable)?;
        let (keys, issuer, part) = match signer.as_ref().ok_or(TokenError::Invalid)? {
            Signer::Auth(key) => (std::slice::from_ref(key), self.issuer.as_str(), None),
            Signer::Part(part, keys) => (&**keys, part.as_str(), Some(*part)),
        };
        let mut decoded = keys.iter().map(|PublicKey { algorithm, key }| {
            let mut validation = Validation::new(*algorithm);
            validation.set_issuer(&[issuer]);
            validation.set_audience(&[&self.audience]);
            // Expiry is checked against our own clock, on every use.
            validation.validate_exp = false;
            validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
            jsonwebtoken::decode::<Claims>(token, key, &validation)
        });
        let claims = decoded.find_map(Result::ok).ok_or(TokenError::Invalid)?.claims;
        match part {
            Some(part) => of_part(claims, part),
            // Auth's keys speak for no part of the stack.
            None if claims.sub.starts_with(PART_PREFIX) => Err(TokenError::Invalid),
            None => Ok(claims),
        }
    }

    /// Whether a token is good now: it has not expired, and was not revoked.
    fn still_good(&self, caller: &Caller) -> Result<(), TokenError> {
        let now = self.clock.now();
        if caller.expires_at <= now.timestamp() {
            return Err(TokenError::Expired);
        }
        if caller.issued_at_ms > now.timestamp_millis() + SKEW_SECONDS * 1000 {
            return Err(TokenError::Invalid);
        }
        if self.revoked.is_unread() && !caller.is_part() {
            return Err(TokenError::Unread);
        }
        if self.revoked.is_revoked(caller) { Err(TokenError::Revoked) } else { Ok(()) }
    }

    fn remember(&self, token: &str, caller: &Arc<Caller>) {
        let mut shard = self.shard(token).lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= CACHE_PER_SHARD_MAX {
            let now = self.clock.now().timestamp();
            shard.retain(|_, caller| caller.expires_at > now);
            if shard.len() >= CACHE_PER_SHARD_MAX {
                shard.clear();
            }
        }
        shard.insert(token.into(), Arc::clone(caller));
    }

    fn shard(&self, token: &str) -> &Mutex<HashMap<Box<str>, Arc<Caller>>> {
        let hash = usize::try_from(self.hasher.hash_one(token) % CACHE_SHARDS as u64).unwrap_or_default();
        &self.cache[hash]
    }
}

/// A part's key speaks for that part alone, and for no more than it may: one that is stolen opens nothing that was not its own.
fn of_part(mut claims: Claims, part: Part) -> Result<Claims, TokenError> {
    if claims.sub.strip_prefix(PART_PREFIX) != Some(part.as_str()) {
        return Err(TokenError::Invalid);
    }
    claims.roles = part.role().map(|role| role.as_str().to_owned()).into_iter().collect();
    claims.grants.clear();
    claims.scope = Permissions::from_scope(&claims.scope).within(part.permissions()).to_scope();
    Ok(claims)
}

/// The token in an `Authorization: Bearer` header (RFC 6750 §2.1).
pub fn bearer(header: Option<&str>) -> Result<&str, TokenError> {
    let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or(TokenError::Missing)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(TokenError::Missing)
    }
}

/// A text, or the first of several (RFC 7519 §4.1.3). Whether the right name is among them is for the check of the token to say.
fn first_name<'de, D: Deserializer<'de>>(names: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Names::deserialize(names)? {
        Names::One(name) => name,
        Names::Several(names) => names.into_iter().next().unwrap_or_default(),
    })
}

fn made(grant: Grant) -> Option<Made> {
    let name = RoleName::parse(&grant.role).ok().filter(|name| name.built_in().is_none())?;
    Some(Made { name, permissions: Permissions::from_scope(&grant.scope) })
}

fn caller(claims: Claims) -> Result<Caller, TokenError> {
    let tie = |text: Option<String>| text.map(|text| contracts::id::check(&text).map(|()| text)).transpose();
    Ok(Caller {
        permissions: Permissions::from_scope(&claims.scope),
        // A role that this version does not know gives nothing but its permissions.
        roles: claims.roles.iter().filter_map(|role| role.parse().ok()).collect(),
        made: claims.grants.into_iter().filter_map(made).collect(),
        only_enrols: claims.only_enrols,
        patient_id: tie(claims.patient_id).map_err(|_| TokenError::Invalid)?.map(PatientId::trusted),
        provider_id: tie(claims.provider_id).map_err(|_| TokenError::Invalid)?.map(ProviderId::trusted),
        user: claims.sub,
        username: claims.name,
        session: claims.sid,
        issued_at_ms: claims.iat_ms.unwrap_or_else(|| claims.iat.saturating_mul(1000)),
        expires_at: claims.exp,
        keys_edition: 0,
    })
}

#[cfg(test)]
mod tests;
