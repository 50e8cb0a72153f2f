//! [`get()`]: brings a backup from the store into folders here, for `restore.sh`. What does not match its digest does not get there.

use std::path::Path;

use tokio::fs;

use crate::error::Refusal;
use crate::layout::{BackupName, DATA, Digest, KEYS, SUMS, keys_file};
use crate::tidy::is_whole;
use crate::{Error, Store};

/// While it is on its way.
const PARTIAL: &str = ".partial";

/// What has come.
#[derive(Debug)]
pub struct Got {
    /// The backup's name.
    pub name: BackupName,
    /// The size of its data.
    pub bytes: u64,
}

/// Brings a backup, or if none is named the latest, into a folder for the data and one for the keys.
///
/// # Errors
/// If there is no such backup, or it is damaged; then there is nothing of it in the folders.
pub async fn get(store: &Store, name: Option<&BackupName>, data: &Path, keys: &Path) -> Result<Got, Error> {
    let name = choose(store, name).await?;
    let digest = digest(store, &name).await?;
    let partial = data.join(PARTIAL);
    let object = store.object(&format!("{name}/{DATA}"));
    let bytes = match store.download(&store.data, &object, &partial).await {
        Ok(came) if came.digest == digest => came.bytes,
        Ok(_) => {
            return Err(
                damaged(&partial, format!("backup {name} is damaged: its digest does not match")).await
            );
        }
        Err(error) => return Err(clean(&partial, error).await),
    };
    let folder = data.join(name.as_str());
    fs::create_dir_all(&folder).await.map_err(Error::file(&folder))?;
    place(&partial, &folder.join(DATA)).await?;
    let sums = folder.join(SUMS);
    fs::write(&sums, format!("{}  {DATA}\n", digest.as_str())).await.map_err(Error::file(&sums))?;
    get_keys(store, keys).await?;
    Ok(Got { name, bytes })
}

async fn choose(store: &Store, name: Option<&BackupName>) -> Result<BackupName, Error> {
    let found = store.found().await?;
    let whole = |name: &&BackupName| found.get(*name).is_some_and(is_whole);
    let chosen = match name {
        Some(name) => Some(name).filter(whole),
        None => found.keys().rfind(whole),
    };
    let wanted = name.map_or("at all", BackupName::as_str);
    let none = || {
        Error::Unusable(format!("there is no backup {wanted}: {}", Store::shown(&store.data, &store.folder)))
    };
    chosen.cloned().ok_or_else(none)
}

async fn digest(store: &Store, name: &BackupName) -> Result<Digest, Error> {
    let object = store.object(&format!("{name}/{SUMS}"));
    let sums = store.text(&store.data, &object).await?;
    let damaged = || Error::Unusable(format!("backup {name} is damaged: {SUMS} holds no digest"));
    Digest::in_sums(&sums).ok_or_else(damaged)
}

async fn get_keys(store: &Store, folder: &Path) -> Result<(), Error> {
    let partial = folder.join(PARTIAL);
    let object = store.object(KEYS);
    let came = match store.download(&store.keys, &object, &partial).await {
        Ok(came) => came,
        Err(error) if error.refusal().is_some_and(Refusal::is_not_found) => {
            let why = "there are no keys beside this backup: without them nobody can read its data";
            return Err(damaged(&partial, why.to_owned()).await);
        }
        Err(error) => return Err(clean(&partial, error).await),
    };
    let Some(told) = came.told else {
        let why = format!("{} does not say what its digest is", Store::shown(&store.keys, &object));
        return Err(damaged(&partial, why).await);
    };
    if came.digest != told {
        return Err(damaged(&partial, "the keys are damaged: their digest does not match".to_owned()).await);
    }
    place(&partial, &folder.join(keys_file(&told))).await
}

async fn place(partial: &Path, file: &Path) -> Result<(), Error> {
    fs::rename(partial, file).await.map_err(Error::file(file))
}

async fn damaged(partial: &Path, why: String) -> Error {
    clean(partial, Error::Unusable(why)).await
}

/// Takes away what has come, before the error is told.
async fn clean(partial: &Path, error: Error) -> Error {
    let _ = fs::remove_file(partial).await;
    error
}
