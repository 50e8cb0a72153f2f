//! `healthcare audit`: the audit of all services verified, or written under another key from now on; beside a stack that runs, or at rest.

use contracts::ambient::{Clock, Random};
use db::{Db, OpenTo};
use http_kit::serve;
use http_kit::verification::{Unsound, rotate_key, verify};
use settings::{Database, Encryption, ServiceName};
use stack::{LocalDatabase, local_database};

use crate::args::Audit;
use crate::data::DataDir;
use crate::fault::Fault;
use crate::reload;
use crate::rotate::databases;

/// Does what is asked for with every service's audit. One that is not sound, or cannot be looked at, keeps none of the others from being
/// looked at. Makes nothing that is not there.
pub async fn audit(args: Audit) -> Result<(), Fault> {
    let (Audit::Verify(of) | Audit::RotateKey(of)) = &args;
    let encryption = match &of.stack {
        Some(file) => reload::read(file)?.stack.encryption,
        None => Encryption::default(),
    };
    let data = DataDir::look_at(&of.data_dir)?;
    let secrets = data.secrets();
    let mut faults = Vec::new();
    let kept = databases(&data);
    for service in ServiceName::ALL {
        let mut is_there = false;
        for (_, database) in kept.iter().filter(|(of, _)| *of == service) {
            is_there = true;
            match done(&args, service, (database, &encryption), &secrets).await {
                Ok(line) => println!("{line}"),
                Err(fault) => faults.push(fault),
            }
        }
        if !is_there {
            match without_keys(&data, service) {
                None => println!("{service}: has nothing here; it never ran here, or all of it is gone"),
                Some(path) => {
                    faults.push(format!("{service}: its keys are gone, and its data is there: {path}"))
                }
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::failed(faults.join("\n"))) }
}

/// The data of a service that has no keys, if there is any.
fn without_keys(data: &DataDir, service: ServiceName) -> Option<String> {
    match local_database(service, data.path(), &LocalDatabase::Sqlite) {
        Database::Sqlite { path, .. } if path.exists() => Some(path.display().to_string()),
        _ => None,
    }
}

async fn done(
    args: &Audit,
    service: ServiceName,
    stored: (&Database, &Encryption),
    secrets: &db::Secrets,
) -> Result<String, String> {
    let purpose = match args {
        Audit::Verify(_) => OpenTo::Look,
        Audit::RotateKey(_) => OpenTo::Change,
    };
    let ambient = (Clock::system(), Random::system());
    let opened = serve::open_to(purpose, service, stored, secrets, ambient).await;
    let db = opened.map_err(|error| error.to_string())?;
    let done = with(args, &db, secrets).await;
    db.close().await;
    done.map_err(|error| error.to_string())
}

async fn with(args: &Audit, db: &Db, secrets: &db::Secrets) -> Result<String, Unsound> {
    match args {
        Audit::Verify(_) => verify(db, secrets).await,
        Audit::RotateKey(_) => rotate_key(db).await,
    }
}
