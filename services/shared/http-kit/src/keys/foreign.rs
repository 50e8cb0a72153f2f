//! [`ForeignKeys`]: the public keys of an issuer that is no part of the stack, such as an identity provider.
//!
//! Read as auth's own are: what is not understood, or not for signatures, is passed over, and each key is used with the one algorithm that it
//! is for. What a token's header says of keys and algorithms counts for nothing but to find the key (RFC 8725 §3.1).

use std::collections::HashMap;

use contracts::auth::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{PublicKey, public_keys};

/// More keys than anybody publishes.
const KEYS_MAX: usize = 100;

/// Keys, by `kid`.
#[derive(Clone, Default)]
pub struct ForeignKeys(HashMap<String, PublicKey>);

impl std::fmt::Debug for ForeignKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// It is no signed token (RFC 7515), or asks for what nobody here understands.
    #[error("it is no signed token of a kind that is understood")]
    Malformed,
    /// Its key is none of these.
    #[error("it is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is not by that key, or the algorithm is not the one that the key is for.
    #[error("its signature is not good")]
    Signature,
}

/// A token whose signature is good. Nothing else of it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What it says.
    pub claims: T,
    /// The hash that belongs to its signature (OpenID Connect Core §3.1.3.6).
    pub hash: Hash,
}

/// A hash that belongs to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512: within Ed25519.
    Sha512,
}

/// A key set as it comes: a key of another shape than any that is known takes none of the others with it.
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl ForeignKeys {
    /// Reads a JWK set (RFC 7517 §5).
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let published: Published = serde_json::from_slice(json)?;
        let keys = published.keys.into_iter().take(KEYS_MAX);
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok()).collect();
        let known = public_keys(&JwkSet { keys });
        Ok(Self(known.into_iter().map(|(kid, (_, key))| (kid, key)).collect()))
    }

    /// What a token says that one of these keys has signed. Times, issuer and audience are for the caller to look at.
    pub fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<Signed<T>, Unbelieved> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unbelieved::Malformed)?;
        // Whatever it is that must be understood: it is not (RFC 7515 §4.1.11).
        if header.crit.is_some() {
            return Err(Unbelieved::Malformed);
        }
        let kid = header.kid.ok_or(Unbelieved::UnknownKey)?;
        let PublicKey { algorithm, key } = self.0.get(&kid).ok_or(Unbelieved::UnknownKey)?;
        let mut validation = Validation::new(*algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded =
            jsonwebtoken::decode::<T>(token, key, &validation).map_err(|_| Unbelieved::Signature)?;
        let hash = if *algorithm == Algorithm::EdDSA { Hash::Sha512 } else { Hash::Sha256 };
        Ok(Signed { claims: decoded.claims, hash })
    }
}

#[cfg(test)]
mod tests {
    use contracts::auth::JwkSet;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;
    use crate::identity::generate_key;

    fn published(kid: &str) -> (EncodingKey, ForeignKeys) {
        let (key, jwk) = generate_key(kid).unwrap();
        let set = serde_json::to_vec(&JwkSet { keys: vec![jwk] }).unwrap();
        (EncodingKey::from_ed_der(&key), ForeignKeys::read(&set).unwrap())
    }

    fn header(kid: Option<&str>) -> Header {
        Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) }
    }

    #[test]
    fn a_token_by_a_published_key_is_believed_and_no_other() {
        let (key, keys) = published("k1");
        let signed =
            |header: &Header, key: &EncodingKey| encode(header, &json!({"sub": "jane"}), key).unwrap();
        let good = signed(&header(Some("k1")), &key);
        let believed = keys.verify::<Value>(&good).unwrap();
        assert_eq!((believed.claims["sub"].as_str(), believed.hash), (Some("jane"), Hash::Sha512));
        let (foreign, _) = published("k1");
        let crit = Header { crit: Some(vec!["exp".to_owned()]), ..header(Some("k1")) };
        let hs256 = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        for (token, why) in [
            (signed(&header(Some("k2")), &key), Unbelieved::UnknownKey),
            (signed(&header(None), &key), Unbelieved::UnknownKey),
            (signed(&header(Some("k1")), &foreign), Unbelieved::Signature),
            (signed(&hs256, &EncodingKey::from_secret(b"k1")), Unbelieved::Signature),
            (signed(&crit, &key), Unbelieved::Malformed),
            ("a.b.c".to_owned(), Unbelieved::Malformed),
            (String::new(), Unbelieved::Malformed),
        ] {
            assert_eq!(keys.verify::<Value>(&token), Err(why), "{token}");
        }
    }

    #[test]
    fn keys_of_another_kind_are_passed_over() {
        let (_, jwk) = generate_key("k1").unwrap();
        let mut set = serde_json::to_value(JwkSet { keys: vec![jwk] }).unwrap();
        let others = [
            json!({"kty": "oct", "k": "AA", "kid": "s"}),
            json!({"kid": 7}),
            json!("no key"),
            json!({"kty": "EC", "crv": "P-521"}),
        ];
        set["keys"].as_array_mut().unwrap().extend(others);
        let keys = ForeignKeys::read(&serde_json::to_vec(&set).unwrap()).unwrap();
        assert_eq!(keys.0.keys().collect::<Vec<_>>(), ["k1"]);
        assert!(ForeignKeys::read(b"<html>").is_err() && ForeignKeys::read(b"{}").is_err());
    }
}
