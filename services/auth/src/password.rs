//! [`Hasher`]: argon2id at OWASP's setting, 19 MiB, two passes, one lane (Password Storage Cheat Sheet).
//!
//! A hash takes some 20 ms of a core and 19 MiB. So few run at once, whatever comes in: a storm of logins waits here, and costs no
//! more memory than that.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use contracts::ambient::Random;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::domain::user::PasswordHash;

/// Whoever would wait longer is told to come back.
const WAIT: Duration = Duration::from_secs(10);
/// As good a hash as any other, of a password that nobody knows: for users that do not exist, so that they take as long as those that do.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$vWJ0Zk1xR3pXcTlOc0xhVHk1RGhVcjJYb0I4Y1FlN0s";

/// Hashes passwords, and checks them.
#[derive(Clone, Debug)]
pub struct Hasher {
    random: Random,
    places: Arc<Semaphore>,
}

/// Too many hashes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

impl Hasher {
    /// At most two hashes at once for each core.
    pub fn new(random: Random) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { random, places: Arc::new(Semaphore::new(2 * cores)) }
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, Busy> {
        let salt: [u8; 16] = self.random.bytes();
        self.work(password, move |argon2, password| {
            argon2
                .hash_password_with_salt(password, &salt)
                .map(|hash| PasswordHash(hash.to_string()))
                .map_err(|_| Busy)
        })
        .await?
    }

    /// Whether this is the password. Without a hash it is not, and takes as long.
    pub async fn verify(&self, password: &str, hash: Option<PasswordHash>) -> Result<bool, Busy> {
        let is_somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| PasswordHash(NOBODY.to_owned()));
        self.work(password, move |argon2, password| {
            argon2.verify_password(password, hash.0.as_str()).is_ok() && is_somebody
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        password: &str,
        work: impl FnOnce(&Argon2<'_>, &[u8]) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let place = tokio::time::timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, even if nobody waits for it any more.
            let _place = place;
            work(&Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT), &password)
        });
        done.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHash as Phc;

    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::new(Random::seeded(1));
        let hash = hasher.hash("password123").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "OWASP's setting: {}", hash.0);
        assert_ne!(hash, hasher.hash("password123").await.unwrap());
        assert!(hasher.verify("password123", Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("Password123", Some(hash)).await.unwrap());
        assert!(!hasher.verify("password123", None).await.unwrap());
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_anybodys() {
        let hash = Phc::new(NOBODY).unwrap();
        assert_eq!(Params::try_from(&hash).unwrap().m_cost(), Params::DEFAULT.m_cost());
        assert_eq!((hash.salt.unwrap().len(), hash.hash.unwrap().len()), (16, 32));
    }
}
