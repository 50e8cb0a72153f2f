//! `healthcare audit`: the audit of all services verified, or written under another key from now on; beside a stack that runs, or at rest.

use contracts::ambient::{Clock, Random};
use db::Db;
use http_kit::audit::{Unsound, rotate_key, verify};
use http_kit::serve;
use settings::Encryption;

use crate::args::Audit;
use crate::data::DataDir;
use crate::fault::Fault;
use crate::reload;
use crate::rotate::databases;

/// Does what is asked for with every service's audit. One that is not sound keeps none of the others from being looked at.
pub async fn audit(args: Audit) -> Result<(), Fault> {
    let (Audit::Verify(of) | Audit::RotateKey(of)) = &args;
    let encryption = match &of.stack {
        Some(file) => reload::read(file)?.stack.encryption,
        None => Encryption::default(),
    };
    let data = DataDir::look_at(&of.data_dir)?;
    let secrets = data.secrets();
    let mut faults = Vec::new();
    for (service, database) in databases(&data) {
        let ambient = (Clock::system(), Random::system());
        let opened = serve::open_as_it_is(service, (&database, &encryption), &secrets, ambient).await;
        let db = opened.map_err(|error| Fault::failed(error.to_string()))?;
        match done(&args, &db, &secrets).await {
            Ok(line) => println!("{line}"),
            Err(fault) => faults.push(fault.to_string()),
        }
        db.close().await;
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::failed(faults.join("\n"))) }
}

async fn done(args: &Audit, db: &Db, secrets: &db::Secrets) -> Result<String, Unsound> {
    match args {
        Audit::Verify(_) => verify(db, secrets).await,
        Audit::RotateKey(_) => rotate_key(db).await,
    }
}
