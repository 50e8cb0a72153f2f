//! [`Hasher`]: argon2id at OWASP's setting, 19 MiB, two passes, one lane (Password Storage Cheat Sheet).
//!
//! When the setting rises, whoever logs in is given a hash by the new one ([`Hasher::is_outdated`]): nobody but they know the password.
//!
//! A hash takes some 20 ms of a core and 19 MiB. One runs on each core at most, whatever comes in: a storm of logins waits here.
//! The memory is used again and again, since an allocator that is given so large a block back may keep it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash as Phc, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::ambient::Random;
use tokio::sync::Semaphore;

use crate::domain::policy;
use crate::domain::user::PasswordHash;

/// Whoever would wait longer is told to come back.
const WAIT: Duration = Duration::from_secs(10);
/// As good a hash as any other, of a password that nobody knows: for users that do not exist, so that they take as long as those that do.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$vWJ0Zk1xR3pXcTlOc0xhVHk1RGhVcjJYb0I4Y1FlN0s";

/// Bytes of a hash.
const OUTPUT: usize = 32;

/// Hashes passwords, and checks them.
#[derive(Clone)]
pub struct Hasher {
    random: Random,
    places: Arc<Semaphore>,
    /// Memory that no hash uses at the moment; never more pieces than places.
    idle: Arc<Mutex<Vec<Memory>>>,
}

impl std::fmt::Debug for Hasher {
    /// What is left in the memory was made of passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Argon2's working memory.
type Memory = Vec<Block>;

/// Too many hashes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

impl Hasher {
    /// At most one hash at once for each core.
    pub fn new(random: Random) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { random, places: Arc::new(Semaphore::new(cores)), idle: Arc::default() }
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, Busy> {
        let (salt, params): ([u8; 16], _) = (self.random.bytes(), Params::DEFAULT);
        let (memory, time, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        let hash = self.raw(password, salt.to_vec(), params).await?;
        let [salt, hash] = [&salt[..], &hash[..]].map(|bytes| data_encoding::BASE64_NOPAD.encode(bytes));
        Ok(PasswordHash(format!("$argon2id$v=19$m={memory},t={time},p={lanes}${salt}${hash}")))
    }

    /// Whether a hash took less work than one that is made now.
    #[must_use]
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        let Ok(kept) = Phc::new(&hash.0) else { return true };
        let Ok(params) = Params::try_from(&kept) else { return true };
        let (present, bytes) = (Params::DEFAULT, kept.hash.map_or(0, |hash| hash.len()));
        let is_less = params.m_cost() < present.m_cost() || params.t_cost() < present.t_cost();
        is_less || bytes < OUTPUT || kept.algorithm.as_str() != "argon2id"
    }

    /// Whether this is the password. Without a hash it is not, and takes as long.
    pub async fn verify(&self, password: &str, hash: Option<PasswordHash>) -> Result<bool, Busy> {
        let is_somebody = hash.is_some();
        let kept = hash.map_or_else(|| NOBODY.to_owned(), |hash| hash.0);
        let Ok(kept) = Phc::new(&kept) else { return Ok(false) };
        let (Ok(params), Some(salt), Some(expected)) = (Params::try_from(&kept), kept.salt, kept.hash) else {
            return Ok(false);
        };
        let hash = self.raw(password, salt.to_vec(), params).await?;
        Ok(verify_slices_are_equal(&hash[..], expected.as_bytes()).is_ok() && is_somebody)
    }

    async fn raw(&self, password: &str, salt: Vec<u8>, params: Params) -> Result<[u8; OUTPUT], Busy> {
        let password = policy::normal(password);
        let place = tokio::time::timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let idle = Arc::clone(&self.idle);
        let done = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, even if nobody waits for it any more.
            let _place = place;
            let mut memory = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            memory.resize(params.block_count().max(memory.len()), Block::default());
            let mut hash = [0; OUTPUT];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let done =
                argon2.hash_password_into_with_memory(password.as_bytes(), &salt, &mut hash, &mut memory);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            done.map(|()| hash)
        });
        done.await.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn the_same_password_from_another_keyboard_is_the_same() {
        let hasher = Hasher::new(Random::seeded(1));
        let hash = hasher.hash("Ma\u{308}rz im Go\u{308}teborg").await.unwrap();
        assert!(hasher.verify("M\u{e4}rz im G\u{f6}teborg", Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("Marz im Goteborg", Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn the_memory_of_a_hash_is_used_again() {
        let hasher = Hasher::new(Random::seeded(1));
        for _ in 0..4 {
            let _ = hasher.hash("password123").await.unwrap();
        }
        assert_eq!(hasher.idle.lock().unwrap().len(), 1);
        // 19 MiB of it: shown, it would be what a password was hashed by.
        assert!(format!("{hasher:?} {hasher:#?}").len() < 1_000);
    }

    #[tokio::test]
    async fn a_hash_that_another_implementation_made_is_checked() {
        use argon2::password_hash::PasswordHasher;
        let kept = Argon2::default()
            .hash_password_with_salt(b"password123", b"sixteen bytes ..")
            .unwrap()
            .to_string();
        let hasher = Hasher::new(Random::seeded(1));
        assert!(hasher.verify("password123", Some(PasswordHash(kept.clone()))).await.unwrap());
        assert!(!hasher.verify("password124", Some(PasswordHash(kept))).await.unwrap());
    }

    #[test]
    fn a_hash_that_took_less_work_is_outdated_and_one_that_took_more_is_not() {
        let hasher = Hasher::new(Random::seeded(1));
        let salt_and_hash = NOBODY.split_once("p=1").unwrap().1;
        let is_outdated = |start: &str| hasher.is_outdated(&PasswordHash(format!("{start}{salt_and_hash}")));
        for old in [
            "$argon2id$v=19$m=12288,t=3,p=1",
            "$argon2id$v=19$m=19456,t=1,p=1",
            "$argon2i$v=19$m=19456,t=2,p=1",
            "nonsense",
        ] {
            assert!(is_outdated(old), "{old}");
        }
        for good in ["$argon2id$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=65536,t=3,p=4"] {
            assert!(!is_outdated(good), "{good}");
        }
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_anybodys() {
        let hash = Phc::new(NOBODY).unwrap();
        assert_eq!(Params::try_from(&hash).unwrap().m_cost(), Params::DEFAULT.m_cost());
        assert_eq!((hash.salt.unwrap().len(), hash.hash.unwrap().len()), (16, 32));
    }
}
