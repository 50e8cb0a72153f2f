//! `healthcare-operator object-store`: carries a backup to an object store, or from there. The pods of backups and restores run it beside
//! PostgreSQL's programs ([`crate::plan::backup`]); it speaks to nobody but the store.

use std::path::PathBuf;

use backup_store::{BackupName, KeysPut, Patience, Place, Store};
use clap::{Args, Subcommand};
use contracts::ambient::Clock;

use crate::Error;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carry the newest backup in a folder there, then take away what is more than is kept.
    Put {
        #[command(flatten)]
        place: PlaceOptions,
        #[command(flatten)]
        folders: Folders,
        /// How many backups are kept there.
        #[arg(long)]
        keep: usize,
    },
    /// Carry the newest keys in a folder there, unless newer ones are there.
    PutKeys {
        #[command(flatten)]
        place: PlaceOptions,
        /// Where they lie: `keys-<digest>.dump`, with the time of them beside it.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Bring a backup from there into a folder.
    Get {
        #[command(flatten)]
        place: PlaceOptions,
        #[command(flatten)]
        folders: Folders,
        /// Which one. Left out: the latest.
        #[arg(long)]
        backup: Option<BackupName>,
        /// Do nothing if this file is there.
        #[arg(long)]
        unless: Option<PathBuf>,
    },
}

// The folders here, as `backup.sh` leaves them and `restore.sh` wants them. (A doc comment would become the command's help.)
#[derive(Debug, Args)]
pub(crate) struct Folders {
    /// Of the data: `<time>/data.dump` with its digest.
    #[arg(long)]
    data: PathBuf,
    /// Of the keys: `keys-<digest>.dump`.
    #[arg(long)]
    keys: PathBuf,
}

// Where the store is, and who we are there. Credentials are read from files.
#[derive(Debug, Args)]
pub(crate) struct PlaceOptions {
    /// The store's address.
    #[arg(long)]
    endpoint: String,
    /// Its region.
    #[arg(long)]
    region: String,
    /// The bucket of the data.
    #[arg(long)]
    bucket: String,
    /// The bucket of the keys, if it is another one.
    #[arg(long)]
    keys_bucket: Option<String>,
    /// The folder in both of them.
    #[arg(long)]
    folder: String,
    /// Whether the bucket stands in the path, or in the host's name.
    #[arg(long, action = clap::ArgAction::Set)]
    path_style: bool,
    /// The file with the access key's id.
    #[arg(long)]
    access_key_id: PathBuf,
    /// The file with the access key.
    #[arg(long)]
    secret_access_key: PathBuf,
    /// The file with the certificates that vouch for the store.
    #[arg(long)]
    ca: Option<PathBuf>,
}

impl PlaceOptions {
    fn store(self) -> Result<Store, Error> {
        let place = Place {
            endpoint: self.endpoint,
            region: self.region,
            bucket: self.bucket,
            keys_bucket: self.keys_bucket,
            folder: self.folder,
            path_style: self.path_style,
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            ca: self.ca,
        };
        Ok(Store::new(&place, Clock::system(), Patience::default())?)
    }
}

/// Does it, and says so in a line.
pub(crate) async fn run(command: Command, out: &mut impl std::io::Write) -> Result<(), Error> {
    let printing = Error::surroundings("printing");
    match command {
        Command::Put { place, folders, keep } => {
            let put = backup_store::put(&place.store()?, &folders.data, &folders.keys, keep).await?;
            for warning in &put.warnings {
                writeln!(out, "warning: {warning}").map_err(Error::surroundings("printing"))?;
            }
            let backup_store::Put { name, bytes, pruned, .. } = put;
            let pruned = pruned.len();
            writeln!(out, "backup {name}: {bytes} bytes of data are there; {pruned} older ones taken away")
                .map_err(printing)
        }
        Command::PutKeys { place, keys } => {
            let said = match backup_store::put_keys(&place.store()?, &keys).await? {
                KeysPut::There => "the keys are there",
                KeysPut::NewerAreThere => "newer keys were there already",
            };
            writeln!(out, "{said}").map_err(printing)
        }
        Command::Get { unless: Some(file), .. } if file.exists() => {
            writeln!(out, "nothing is needed from there").map_err(printing)
        }
        Command::Get { place, folders, backup, .. } => {
            let got =
                backup_store::get(&place.store()?, backup.as_ref(), &folders.data, &folders.keys).await?;
            writeln!(out, "backup {}: {} bytes of data", got.name, got.bytes).map_err(printing)
        }
    }
}
