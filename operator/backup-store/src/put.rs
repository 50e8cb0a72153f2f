//! [`put()`]: carries a backup that lies in a folder here to the store.

use std::path::Path;

use crate::layout::{BackupName, DATA, SUMS, keys_of_backup, newest_data};
use crate::put_keys::refuse_versions;
use crate::upload::Upload;
use crate::{Error, Store};

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
    keys_of_backup(keys, &name)?;
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
    // Those that were taken meanwhile open it as well, and may be all that is left there.
    store.put_keys_of_backup(&keys_of_backup(keys, &name)?).await?;
    let sums = format!("{}  {DATA}\n", data_digest.as_str());
    store.upload_text(&store.data, &store.object(&format!("{name}/{SUMS}")), sums).await?;
    let (pruned, warnings) = store.tidy(keep).await;
    Ok(Put { name, bytes, pruned, warnings })
}
