//! [`put()`]: carries a backup that lies in a folder here to the store.

use std::path::Path;

use crate::layout::{BackupName, DATA, KEYS, SUMS, newest_data, newest_keys};
use crate::upload::Upload;
use crate::{Error, Store};

/// When the keys were taken, told with them: the name of the backup that brought them.
const TAKEN: &str = "x-amz-meta-taken";

/// What was done.
#[derive(Debug)]
pub struct Put {
    /// The backup's name.
    pub name: BackupName,
    /// The size of its data.
    pub bytes: u64,
    /// The backups that were taken away, being more than are kept.
    pub pruned: Vec<BackupName>,
    /// What somebody should look at, although the backup is there and whole.
    pub warnings: Vec<String>,
}

/// Carries the newest backup of the data in one folder and the newest keys in another to the store, then takes away what is more than `keep`.
///
/// # Errors
/// If it is not there afterwards. Backups that were there before are there still, and open.
pub async fn put(store: &Store, data: &Path, keys: &Path, keep: usize) -> Result<Put, Error> {
    let (name, data, data_digest) = newest_data(data)?;
    let (keys, keys_digest) = newest_keys(keys)?;
    refuse_versions(store).await?;

    let bytes = store
        .upload(&Upload {
            file: &data,
            digest: &data_digest,
            bucket: &store.data,
            object: store.object(&format!("{name}/{DATA}")),
            told: Vec::new(),
        })
        .await?;
    refuse_newer_keys(store, &name).await?;
    store
        .upload(&Upload {
            file: &keys,
            digest: &keys_digest,
            bucket: &store.keys,
            object: store.object(KEYS),
            told: vec![(TAKEN, name.to_string())],
        })
        .await?;
    let sums = format!("{}  {DATA}\n", data_digest.as_str());
    store.upload_text(&store.data, &store.object(&format!("{name}/{SUMS}")), sums).await?;
    let (pruned, warnings) = store.tidy(keep).await;
    Ok(Put { name, bytes, pruned, warnings })
}

/// Where old versions are kept, the keys of an erased patient stay, and with them an old backup opens what was erased.
async fn refuse_versions(store: &Store) -> Result<(), Error> {
    if !store.is_versioned(&store.keys).await? {
        return Ok(());
    }
    let bucket = store.keys.name();
    Err(Error::Unusable(format!(
        "bucket {bucket} keeps old versions, and of the patients' keys only the latest state may exist: name another bucket as \
         keysBucket, without versioning"
    )))
}

/// Keys open the backups that were taken before them. If there are newer ones than ours, two backups are taken at once, or a clock is
/// wrong: to put ours in their place would leave a backup without its keys.
async fn refuse_newer_keys(store: &Store, name: &BackupName) -> Result<(), Error> {
    let object = store.object(KEYS);
    let Some(there) = store.head(&store.keys, &object).await? else { return Ok(()) };
    match there.header(TAKEN).and_then(|taken| taken.parse::<BackupName>().ok()) {
        Some(taken) if taken > *name => Err(Error::Unusable(format!(
            "{} is of {taken}, and this backup of {name}: another one was taken meanwhile, or a clock is wrong",
            Store::shown(&store.keys, &object)
        ))),
        _ => Ok(()),
    }
}
