//! The keys that access tokens are signed with: Ed25519, one file each in the secret `signing-keys`.
//!
//! A file's name without `.p8` is the key's `kid`. All of them are published, so that a key can be rotated: first published, then
//! signed with, and taken away when the last token signed with it has expired. They are read when the process starts; where several
//! replicas run, all must publish a key before one signs with it, or one that was not asked to yet would not know it.

use std::fmt;

use contracts::auth::JwkSet;
use db::{SecretError, Secrets};
use http_kit::identity::{BadKey, Part, public_jwk};
use http_kit::token::Claims;
use jsonwebtoken::EncodingKey;
use settings::SecretRef;

const SECRET: &str = "signing-keys";
/// Names the key to sign with; without it that is the last in the order of names.
const CURRENT: &str = "current";

/// The key to sign with, and the public halves of all.
pub struct SigningKeys {
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
}

impl SigningKeys {
    /// Reads the keys.
    pub fn load(secrets: &Secrets) -> Result<Self, SigningError> {
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
            let pkcs8 = secrets.read(&reference(&format!("{kid}.p8")))?;
            let jwk = public_jwk(kid, &pkcs8).map_err(|BadKey| SigningError::Bad { kid: kid.to_owned() })?;
            public.keys.push(jwk);
            if kid == current {
                key = Some(EncodingKey::from_ed_der(&pkcs8));
            }
        }
        match key {
            Some(key) => Ok(Self { kid: current, key, public }),
            None => Err(SigningError::NoCurrent { kid: current }),
        }
    }

    /// Signs with the current key.
    pub fn sign(&self, claims: &Claims) -> String {
        claims.sign(&self.key, &self.kid)
    }

    /// The one that signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public halves.
    pub fn public(&self) -> &JwkSet {
        &self.public
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn reference(key: &str) -> SecretRef {
    SecretRef { secret: SECRET.to_owned(), key: key.to_owned() }
}

#[cfg(test)]
mod tests {
    use http_kit::identity::generate_key;

    use super::*;

    fn load(files: &[(&str, &[u8])]) -> Result<SigningKeys, SigningError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(SECRET)).unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(SECRET).join(name), content).unwrap();
        }
        SigningKeys::load(&Secrets::new(dir.path()))
    }

    #[test]
    fn the_last_key_signs_unless_another_is_named_and_all_are_published() {
        let (one, other) = (generate_key("k1").unwrap().0, generate_key("k2").unwrap().0);
        let keys = load(&[("k1.p8", &one), ("k2.p8", &other)]).unwrap();
        assert_eq!((keys.kid.as_str(), keys.public.keys.len()), ("k2", 2));
        let keys = load(&[("k1.p8", &one), ("k2.p8", &other), ("current", b"k1\n")]).unwrap();
        assert_eq!((keys.kid.as_str(), keys.public.keys.len()), ("k1", 2));
    }

    #[test]
    fn without_a_good_key_there_is_a_clear_error() {
        let key = generate_key("k").unwrap().0;
        for (files, says) in [
            (&[] as &[(&str, &[u8])], "holds no key"),
            (&[("k.p8", b"x")], "not an Ed25519"),
            (&[("k.p8", &key), ("current", b"z")], "names \"z\""),
            (&[("auth-service.p8", &key)], "service's name"),
        ] {
            let error = load(files).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let nowhere = tempfile::tempdir().unwrap();
        let error = SigningKeys::load(&Secrets::new(nowhere.path())).unwrap_err();
        assert!(error.to_string().contains("signing-keys"), "{error}");
    }
}
