//! `healthcare rotate-kek`: another key-encryption key for a data folder, while a stack runs on it or not.
//!
//! ```text
//! kek/current = A                        as it was
//! kek/current = A, kek/previous = A      A is kept before anything takes its place
//! kek/current = B, kek/previous = A      from here on, whoever starts knows both
//! every key of every service wrapped under B, in files and in PostgreSQL
//! kek/current = B                        A is forgotten, since nothing needs it
//! ```
//!
//! Broken off anywhere, the next run goes on where this one stopped. A stack that runs, or is started in between, reads the files again: every
//! second, and whenever it meets a key wrapped under what it does not know, or is told that what it wraps under is retired. The databases retire A before
//! it is forgotten, and refuse that while a single key needs it.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use db::{RewrapError, Rewrapped, Secrets};
use http_kit::{generate, serve};
use settings::{Database, Encryption, SecretRef, ServiceName};
use stack::{LocalDatabase, local_database};

use crate::args::RotateKek;
use crate::data::DataDir;
use crate::fault::Fault;

/// A stack that runs wraps under another key within a second.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: u32 = 60;

/// Rotates the key-encryption key of a data folder.
pub async fn rotate_kek(args: RotateKek) -> Result<(), Fault> {
    let url = args.database.read()?;
    let data = DataDir::look_at(&args.data_dir)?;
    let _alone = data.lock_kek()?;
    if let Some(url) = url {
        data.keep_database_url(url.reveal())?;
    }
    let databases = databases(&data);
    if !data.has_secret(&previous_kek()) {
        for (service, database) in &databases {
            check_opens(*service, database, &data.secrets()).await?;
        }
    }
    let is_new = data.use_another_kek(&Random::system())?;
    if !is_new {
        println!("A rotation that was broken off is finished.");
    }
    for (service, database) in databases {
        let Rewrapped { kek_id, anew, keys } = rewrap(service, &database, &data.secrets()).await?;
        println!("{service}: {anew} keys wrapped anew; all {keys} are under {kek_id}");
    }
    data.forget_previous_kek()?;
    println!(
        "The key-encryption key is another: renew your copy of {}, and keep the old one for as long as there are copies of the keys from before.",
        data.path().join("secrets/kek/current").display()
    );
    Ok(())
}

/// Whatever has keys: files, and a PostgreSQL that was ever used, whether it is now or not.
pub(crate) fn databases(data: &DataDir) -> Vec<(ServiceName, Database)> {
    let url = SecretRef { secret: "database".to_owned(), key: "url".to_owned() };
    let postgres = data.has_secret(&url).then_some(LocalDatabase::Postgres { url });
    let kinds = [Some(LocalDatabase::Sqlite), postgres].into_iter().flatten();
    kinds
        .flat_map(|kind| {
            ServiceName::ALL.map(|service| (service, local_database(service, data.path(), &kind)))
        })
        .filter(|(_, database)| match database {
            Database::Sqlite { keys_path, .. } => is_there(keys_path),
            Database::Postgres { .. } => true,
        })
        .collect()
}

/// What cannot be looked at counts as there: it will be said why.
fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// Refuses a key that is not what the keys there are wrapped under, before another takes its place: it is not the one to be kept.
async fn check_opens(service: ServiceName, database: &Database, secrets: &Secrets) -> Result<(), Fault> {
    let stored = (database, &Encryption::default());
    let ambient = (Clock::system(), Random::system());
    let db = serve::open_as_it_is(service, stored, secrets, ambient).await.map_err(|error| {
        Fault::failed(format!(
            "{error}\nNothing was changed: put the right key back as secrets/{CURRENT}, then run it again."
        ))
    })?;
    db.close().await;
    Ok(())
}

fn previous_kek() -> SecretRef {
    SecretRef { secret: KEK.to_owned(), key: "previous".to_owned() }
}

async fn rewrap(service: ServiceName, database: &Database, secrets: &Secrets) -> Result<Rewrapped, Fault> {
    let ambient = (Clock::system(), Random::system());
    let failed = |error: serve::StartError| {
        Fault::failed(format!("{error}\nNothing is lost: both keys stay. Run it again when this is mended."))
    };
    let stored = (database, &Encryption::default());
    let db = serve::open_as_it_is(service, stored, secrets, ambient).await.map_err(failed)?;
    let mut attempts = 1;
    let rewrapped = loop {
        match db.rewrap().await {
            Err(RewrapError::StillInUse { .. }) if attempts < ATTEMPTS_MAX => attempts += 1,
            rewrapped => break rewrapped,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    };
    db.close().await;
    rewrapped.map_err(|source| failed(serve::StartError::Rewrap { service, source }))
}

impl DataDir {
    /// Keeps everybody else from exchanging the key while the file is held, and clears up after whoever was killed doing so.
    fn lock_kek(&self) -> Result<File, Fault> {
        let folder = self.path().join("secrets").join(KEK);
        let failed = |error| Fault::failed(format!("{} cannot be used: {error}", folder.display()));
        let file = File::open(&folder).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Fault::failed("another process is exchanging this key-encryption key"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        self.secret_files().sweep(KEK).map_err(failed)?;
        Ok(file)
    }

    /// Puts another key in the place of the present one, which is kept beside it; unless that was done already and not come to its end.
    /// Tells whether it was done now.
    fn use_another_kek(&self, random: &Random) -> Result<bool, Fault> {
        let files = self.secret_files();
        let read = |name: &str| std::fs::read(self.path().join("secrets").join(name));
        let failed = |error| Fault::failed(format!("the key-encryption key cannot be kept: {error}"));
        let current = read(CURRENT).map_err(failed)?;
        match read(PREVIOUS) {
            Ok(previous) if previous != current => return Ok(false),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        files.keep(PREVIOUS, &current).map_err(failed)?;
        files.keep(CURRENT, generate::kek(random).as_bytes()).map_err(failed)?;
        Ok(true)
    }

    fn forget_previous_kek(&self) -> Result<(), Fault> {
        self.secret_files()
            .forget(PREVIOUS)
            .map_err(|error| Fault::failed(format!("the previous key cannot be forgotten: {error}")))
    }
}

const KEK: &str = "kek";
const CURRENT: &str = "kek/current";
const PREVIOUS: &str = "kek/previous";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_is_kept_before_another_takes_its_place_and_while_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), &Random::system()).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join("secrets").join(name)).ok();
        let first = read(CURRENT).unwrap();
        // Broken off after the first of the two files.
        std::fs::write(dir.path().join("secrets").join(PREVIOUS), &first).unwrap();
        assert!(data.use_another_kek(&Random::system()).unwrap());
        let second = read(CURRENT).unwrap();
        assert!(second != first && read(PREVIOUS).unwrap() == first);
        assert!(!data.use_another_kek(&Random::system()).unwrap(), "one at a time");
        assert_eq!((read(CURRENT).unwrap(), read(PREVIOUS).unwrap()), (second, first));
        data.forget_previous_kek().unwrap();
        assert_eq!(read(PREVIOUS), None);
    }

    #[test]
    fn one_at_a_time_exchanges_it_and_clears_up_after_one_that_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), &Random::system()).unwrap();
        let unfinished = dir.path().join("secrets/kek/.tmpa1B2c3");
        std::fs::write(&unfinished, "half a ke").unwrap();
        // Beside a stack that runs.
        let beside = || DataDir::look_at(dir.path()).unwrap();
        let first = beside().lock_kek().unwrap();
        assert!(!unfinished.exists());
        let refused = beside().lock_kek().err().unwrap().to_string();
        assert!(refused.contains("another process is exchanging"), "{refused}");
        drop(first);
        assert!(beside().lock_kek().is_ok());
        drop(data);
    }

    #[test]
    fn a_folder_without_a_key_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("none"), dir.path().to_path_buf()] {
            let refused = DataDir::look_at(&path).err().unwrap().to_string();
            assert!(refused.contains("no data of a stack"), "{refused}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
