//! [`Vault`]: seals health data under a key per subject, and makes the blind indexes by which it is found again.
//!
//! ```text
//! key-encryption key                          never in the database: a file's, or one that a server keeps to itself
//!   └ wraps a data key per subject             keys store: own file or schema, own backup
//!       └ seals bodies                         data store
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `subject.rs` | whose key, and the place in the database that a sealed body is bound to |
//! | `seal.rs` | the two formats, pure: sealed body and wrapped key |
//! | `keepers.rs` | who wraps and unwraps data keys |
//! | `kek.rs` | the key-encryption keys that the secret holds |
//! | `transit.rs`, `wire.rs` | a transit engine, which holds its own; what is said to it |
//! | `keys.rs` | the keys store's statements |
//! | `early.rs` | what is read before the keys store is brought up to date |
//! | `rewrap.rs` | every key wrapped under the present key-encryption key, while everything runs |
//! | `cache.rs` | unwrapped keys, few and for a minute |
//! | `fetch.rs` | keys read from their store, one or many at once |
//! | `renew.rs` | what is in use is unwrapped again before it must be |
//! | `follow.rs` | other key-encryption keys in the secret's files, taken up while everything runs |
//! | `blind.rs` | keyed indexes |
//! | `audit.rs` | the keys of the audit, a generation after another; what is known of its chains |

mod audit;
mod blind;
mod cache;
mod early;
mod fetch;
mod follow;
mod keepers;
mod kek;
mod keys;
mod renew;
mod rewrap;
mod seal;
mod subject;
mod transit;
mod wire;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::ambient::{Clock, Random};
use serde::Serialize;
use serde::de::DeserializeOwned;
use settings::{Encryption, KekProvider, ServiceName};
use zeroize::Zeroizing;

use self::cache::Cache;
use self::keepers::{Found, Keepers, Raw, Whose};
use self::keys::{KeyState, Live};
use self::seal::DataKey;
use crate::{Error, OpenError, SealError, Secrets};

pub(crate) use self::audit::{AuditKey, HeadRow};
pub(crate) use self::blind::CHESTS;
pub(crate) use self::keys::KeysStore;
pub use self::rewrap::{RewrapError, Rewrapped, Unopened};
pub use self::subject::{Period, Place, Subject};

/// The generation that new bodies are sealed under. Bodies and keys both carry theirs, so that a data key can be
/// replaced one day without a new format.
const GENERATION: u32 = 1;

/// The index key's name in the keys store. No [`Subject`] has it.
const INDEX: &str = "index";

/// Seals and opens one service's health data.
///
/// A subject's key is made the first time something is sealed for it. [`Vault::destroy`] is final: what was sealed for
/// the subject is unreadable from then on, in backups of the data too, and the subject never gets another key. Another
/// process that had the key in memory forgets it within [`Vault::CACHE_SECONDS`].
pub struct Vault {
    service: ServiceName,
    keepers: Arc<Keepers>,
    keys: KeysStore,
    cache: Arc<Mutex<Cache>>,
    index: OnceLock<hmac::Key>,
    /// The engine's latest version that the keys store takes keys under.
    admitted: Mutex<String>,
    clock: Clock,
    random: Random,
}

impl Vault {
    /// How long an unwrapped key is kept in memory, seconds: so long may another replica still open a destroyed
    /// subject's data.
    pub const CACHE_SECONDS: i64 = 60;

    pub(crate) fn new(
        service: ServiceName,
        keys: KeysStore,
        encryption: &Encryption,
        secrets: &Secrets,
        clock: Clock,
        random: Random,
    ) -> Result<Self, OpenError> {
        let keepers = Arc::new(Keepers::new(encryption, secrets, random.clone())?);
        // What the process unwraps by itself it unwraps again rather than hold.
        let held = encryption.transit.as_ref().filter(|_| encryption.provider == KekProvider::Transit);
        let hold = held.map_or(TimeDelta::zero(), |it| TimeDelta::seconds(it.hold_seconds.into()));
        let (cache, admitted) = (Arc::new(Mutex::new(Cache::new(hold))), Mutex::default());
        Ok(Self { service, keepers, keys, cache, index: OnceLock::new(), admitted, clock, random })
    }

    /// Seals `plaintext` for `subject`, to be stored at `place` and to open nowhere else.
    pub async fn seal(
        &self,
        subject: &Subject<'_>,
        place: Place<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let name = subject.name();
        let key = match self.key(&name, GENERATION).await? {
            Some(key) => key,
            None => self.create(&name, subject.expires_at()).await?,
        };
        Ok(seal::seal(&key, GENERATION, &self.aad(&name, place), self.random.bytes(), plaintext))
    }

    /// Opens what [`Vault::seal`] made for the same subject and place.
    pub async fn open(
        &self,
        subject: &Subject<'_>,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let name = subject.name();
        let generation = seal::generation(sealed)?;
        let key = self.key(&name, generation).await?.ok_or(SealError::NoKey)?;
        Ok(seal::open(&key, &self.aad(&name, place), sealed)?)
    }

    /// [`Vault::seal`] of a value's JSON.
    pub async fn seal_json<T: Serialize + ?Sized>(
        &self,
        subject: &Subject<'_>,
        place: Place<'_>,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let plaintext = Zeroizing::new(serde_json::to_vec(value).map_err(|_| SealError::Shape)?);
        self.seal(subject, place, &plaintext).await
    }

    /// [`Vault::open`] of a value's JSON.
    pub async fn open_json<T: DeserializeOwned>(
        &self,
        subject: &Subject<'_>,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<T, Error> {
        let plaintext = Zeroizing::new(self.open(subject, place, sealed).await?);
        // serde's complaint quotes the value: it is left out.
        Ok(serde_json::from_slice(&plaintext).map_err(|_| SealError::Shape)?)
    }

    /// Wipes the subject's key for good (crypto-shredding). Does no harm when repeated.
    ///
    /// Its own transaction, in its own store: commit what refers to the subject first, and repeat this until it
    /// succeeds.
    pub async fn destroy(&self, subject: &Subject<'_>) -> Result<(), Error> {
        let name = subject.name();
        let destroyed = self.keys.destroy(&name, self.clock.now()).await;
        // Also after an error: the commit may have gone through.
        self.cache().forget(&name);
        destroyed
    }

    /// Wipes the keys of years before this one ([`Subject::Year`]). Returns how many.
    pub(crate) async fn destroy_years_before(&self, year: i64) -> Result<u64, Error> {
        let mut destroyed = 0;
        for name in self.keys.live_of_years().await? {
            let of = name.strip_prefix(subject::YEARS).and_then(|of| of.parse::<i64>().ok());
            if let Some(of) = of.filter(|of| *of < year) {
                self.destroy(&Subject::Year(of)).await?;
                destroyed += 1;
            }
        }
        Ok(destroyed)
    }

    /// Whose holds have keys that stand: patients, and the holds' versions.
    pub(crate) async fn holds_live(&self) -> Result<Vec<(String, i64)>, Error> {
        let names = self.keys.live_of_holds().await?;
        Ok(names.iter().filter_map(|name| subject::hold_of(name)).collect())
    }

    /// Whether the subject's key was destroyed.
    pub async fn is_destroyed(&self, subject: &Subject<'_>) -> Result<bool, Error> {
        let row = self.keys.find(&subject.name(), GENERATION).await?;
        Ok(row.is_some_and(|row| matches!(row.state(self.clock.now()), KeyState::Destroyed)))
    }

    /// Some patients whose keys are destroyed, by their ids, in the order of the keys store from beyond `after`.
    pub(crate) async fn patients_destroyed(
        &self,
        after: Option<&str>,
        count_max: i64,
    ) -> Result<Vec<String>, Error> {
        let after = after.map(|patient| Subject::Patient(patient).name());
        let names = self.keys.patients_destroyed(after.as_deref().unwrap_or_default(), count_max).await?;
        Ok(names.iter().filter_map(|name| subject::patient_of(name)).map(str::to_owned).collect())
    }

    /// Wipes the keys whose period is over. Returns how many.
    pub async fn purge_expired(&self) -> Result<u64, Error> {
        let wiped = self.keys.purge_expired(self.clock.now()).await?;
        self.cache().clear_expired(self.clock.now());
        Ok(wiped)
    }

    /// Reads the index key if there is one; tells whether there is.
    pub(crate) async fn load_index_key(&self) -> Result<bool, Error> {
        if self.index.get().is_none() && self.keys.is_migrated().await? {
            let row = self.keys.find_early(INDEX, GENERATION).await?;
            if let Some(KeyState::Live(live)) = row.as_ref().map(|row| row.state(self.clock.now())) {
                let key = self.unwrap(INDEX, GENERATION, live).await?;
                let _ = self.index.set(hmac::Key::new(hmac::HMAC_SHA256, &*key));
            }
        }
        Ok(self.index.get().is_some())
    }

    /// Makes the index key if there is none yet, and reads whichever there is. From then on keys may be wrapped under the
    /// present key-encryption key; one that was retired is refused.
    pub(crate) async fn create_index_key(&self) -> Result<(), Error> {
        // Read first: who cannot open what is there has no say in what is wrapped under what.
        self.load_index_key().await?;
        if let Some(kek_id) = self.keepers.own()
            && !self.keys.admit_kek(&kek_id, self.clock.now()).await?
        {
            return Err(retired(&kek_id));
        }
        if self.keys.find(INDEX, GENERATION).await?.is_none() {
            self.insert(INDEX, GENERATION, None).await?;
        }
        self.load_index_key().await.map(drop)
    }

    /// Whether the keys store answers, is migrated, and takes new keys of this process. An engine that keeps the key-encryption key is not
    /// asked: while it is away, the process still reads.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        if !self.load_index_key().await? {
            return Err(Error::NotMigrated);
        }
        match self.check_own().await {
            Err(refused) if self.knows_better(&refused).await? => self.check_own().await,
            checked => checked,
        }
    }

    /// Whether the keys store takes keys under the file's key.
    async fn check_own(&self) -> Result<(), Error> {
        match self.keepers.own() {
            Some(kek_id) if !self.keys.is_admitted(&kek_id).await? => Err(retired(&kek_id)),
            _ => Ok(()),
        }
    }

    /// The key-encryption key that keys are wrapped under at this moment: what it is called, as rows call it. An engine is asked for it.
    pub async fn kek_id(&self) -> Result<String, Error> {
        self.keepers.present().await
    }

    /// The same as far as it is known without asking anybody: nothing, while an engine was not asked to wrap a key yet.
    pub fn kek_id_known(&self) -> Option<String> {
        self.keepers.present_known()
    }

    /// The subject's key, from memory or the store; `None` when it never had one.
    async fn key(&self, name: &str, generation: u32) -> Result<Option<Arc<DataKey>>, Error> {
        match self.look_up(name, generation).await {
            // It may have been wrapped anew since its row was read, and the key-encryption key forgotten that it was wrapped under.
            Err(Error::Sealed(SealError::UnknownKek { .. })) => self.look_up(name, generation).await,
            key => key,
        }
    }

    async fn look_up(&self, name: &str, generation: u32) -> Result<Option<Arc<DataKey>>, Error> {
        let now = self.clock.now();
        let seen = match self.cache().find(name, generation, now) {
            Ok(key) => return Ok(Some(key)),
            Err(seen) => seen,
        };
        let Some(row) = self.keys.find(name, generation).await? else {
            return Ok(None);
        };
        self.take_in((name, generation), &row, now, seen).await.map(Some)
    }

    /// Makes the subject's first key. Of several that try at once one wins, and all use the winner's.
    async fn create(&self, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<Arc<DataKey>, Error> {
        self.insert(name, GENERATION, expires_at).await?;
        Ok(self.key(name, GENERATION).await?.ok_or(SealError::NoKey)?)
    }

    async fn insert(
        &self,
        name: &str,
        generation: u32,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let key = Zeroizing::new(self.random.bytes());
        match self.insert_wrapped(name, generation, &key, expires_at).await {
            // Another key-encryption key has taken the place of the one that this process knew.
            Err(refused) if self.knows_better(&refused).await? => {
                self.insert_wrapped(name, generation, &key, expires_at).await
            }
            inserted => inserted,
        }
    }

    async fn insert_wrapped(
        &self,
        name: &str,
        generation: u32,
        key: &[u8; 32],
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let wrapped = self.keepers.wrap(self.whose(name, generation), key).await?;
        self.admit(&wrapped.kek_id).await?;
        self.keys.insert(name, generation, &wrapped, self.clock.now(), expires_at).await
    }

    /// An engine's key has another version from one moment to the next: the keys store hears of it before it is given a key under it.
    async fn admit(&self, kek_id: &str) -> Result<(), Error> {
        if self.keepers.own().is_some() || *self.admitted() == kek_id {
            return Ok(());
        }
        if !self.keys.admit_kek(kek_id, self.clock.now()).await? {
            return Err(retired(kek_id));
        }
        kek_id.clone_into(&mut self.admitted());
        Ok(())
    }

    fn admitted(&self) -> std::sync::MutexGuard<'_, String> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whose<'a>(&self, subject: &'a str, generation: u32) -> Whose<'a> {
        Whose { service: self.service, subject, generation }
    }

    async fn unwrap(&self, name: &str, generation: u32, key: Live<'_>) -> Result<Raw, Error> {
        let found = Found { whose: self.whose(name, generation), key };
        match self.keepers.unwrap(found).await {
            Err(refused) if self.knows_better(&refused).await? => self.keepers.unwrap(found).await,
            unwrapped => unwrapped,
        }
    }

    fn aad(&self, subject: &str, place: Place<'_>) -> Vec<u8> {
        seal::aad(&["body", self.service.as_str(), place.table, place.column, place.row, subject])
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        locked(&self.cache)
    }
}

/// Every change to it is a single insert or remove: it is whole even if a thread panicked while holding it.
fn locked(cache: &Mutex<Cache>) -> std::sync::MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

fn retired(kek_id: &str) -> Error {
    SealError::RetiredKek { kek_id: kek_id.to_owned() }.into()
}
