//! [`put_keys()`]: carries the keys alone to the store, in the place of older ones and of no others.
//!
//! Keys come with each backup, and between backups. A store has no lock, and whoever is slower must not put older keys in the place of newer
//! ones: rows of a backup would be left without theirs. So whoever brings keys between backups says so first, in an object, and looks at what
//! is there after that; a backup puts its keys there, and then looks whether anybody says so. One of the two sees the other: either the keys
//! of the backup are seen, and older ones are not brought; or the backup waits until they have been, and looks again.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use crate::layout::{self, KEYS, KEYS_ON_THEIR_WAY, Keys, Taken};
use crate::upload::Upload;
use crate::{Error, Store};

/// When the keys were taken, told with them.
const TAKEN: &str = "x-amz-meta-taken";
/// Keys that are brought between backups are there after so long, or not at all.
const ON_THEIR_WAY_MAX: Duration = Duration::from_secs(90);
/// For what may still be on its way when nobody waits for its answer any more.
const ARRIVING_MAX: Duration = Duration::from_secs(30);
/// How often is looked whether keys are on their way.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far the clock of a database may be ahead of ours.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// What became of keys that were brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysPut {
    /// They are there.
    There,
    /// Newer ones were there before.
    NewerAreThere,
}

/// Carries the newest keys in a folder to the store, unless newer ones are there.
///
/// # Errors
/// If neither they nor newer ones are there afterwards. Keys that were there before are there still.
pub async fn put_keys(store: &Store, keys: &Path) -> Result<KeysPut, Error> {
    let keys = layout::keys(keys)?;
    refuse_versions(store).await?;
    let announcement = store.object(KEYS_ON_THEIR_WAY);
    let announced = Instant::now();
    store.upload_text(&store.keys, &announcement, keys.taken.to_string()).await?;
    let put =
        tokio::time::timeout(ON_THEIR_WAY_MAX.saturating_sub(announced.elapsed()), store.put_newer(&keys));
    let put = put.await.unwrap_or_else(|_| {
        let seconds = ON_THEIR_WAY_MAX.as_secs();
        Err(Error::Unusable(format!("the store takes longer than {seconds} s for the keys")))
    });
    // Where it may not be taken away, the next backup waits for nothing.
    let _ = store.delete(&store.keys, &announcement).await;
    put
}

/// Where old versions are kept, the keys of an erased patient stay, and with them an old backup opens what was erased.
pub(crate) async fn refuse_versions(store: &Store) -> Result<(), Error> {
    if !store.is_versioned(&store.keys).await? {
        return Ok(());
    }
    let bucket = store.keys.name();
    Err(Error::Unusable(format!(
        "bucket {bucket} keeps old versions, and of the patients' keys only the latest state may exist: name another bucket as \
         keysBucket, without versioning"
    )))
}

impl Store {
    /// Keys of a backup. When this returns, they are there, or newer ones, and no older ones are on their way.
    pub(crate) async fn put_keys_of_backup(&self, keys: &Keys) -> Result<(), Error> {
        self.put_newer(keys).await?;
        if self.nobody_brings_keys().await? {
            return Ok(());
        }
        self.put_newer(keys).await.map(drop)
    }

    /// Puts keys in the place of older ones.
    async fn put_newer(&self, keys: &Keys) -> Result<KeysPut, Error> {
        let object = self.object(KEYS);
        if let Some(there) = self.head(&self.keys, &object).await? {
            let told = there.header(TAKEN).and_then(|taken| taken.parse::<Taken>().ok());
            if let Some(told) = told.filter(|told| *told >= keys.taken) {
                self.refuse_future(&object, &told, keys)?;
                return Ok(KeysPut::NewerAreThere);
            }
        }
        let upload = Upload {
            file: &keys.file,
            digest: &keys.digest,
            bucket: &self.keys,
            object,
            told: vec![(TAKEN, keys.taken.to_string())],
        };
        self.upload(&upload).await?;
        Ok(KeysPut::There)
    }

    /// Keys of a time to come would keep all others away.
    fn refuse_future(&self, object: &str, there: &Taken, keys: &Keys) -> Result<(), Error> {
        if *there == keys.taken || there.at() <= self.clock.now() + AHEAD_MAX {
            return Ok(());
        }
        let object = Self::shown(&self.keys, object);
        Err(Error::Unusable(format!(
            "{object} is of {there}, and these keys are of {}: a clock is wrong",
            keys.taken
        )))
    }

    /// Waits until nobody brings keys who may not have seen ours; tells whether nobody did.
    async fn nobody_brings_keys(&self) -> Result<bool, Error> {
        let (begun, announcement) = (Instant::now(), self.object(KEYS_ON_THEIR_WAY));
        let mut looks = 0;
        while self.head(&self.keys, &announcement).await?.is_some() {
            looks += 1;
            // Whoever said so and was then killed brings nothing any more.
            if begun.elapsed() >= ON_THEIR_WAY_MAX + ARRIVING_MAX {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(looks == 0)
    }
}
