//! What the version before this one wrote otherwise: it is written anew before the service answers, and so is what that version goes on
//! writing while both run.
//!
//! A service gives a piece of work that renews some rows and tells whether there were any. Rows that are to be renewed are found by how they
//! look, so that nothing is lost with a process, and any number of them may be at it at once.

use std::future::Future;
use std::time::Duration;

use db::{Db, Engine};

const EVERY: Duration = Duration::from_secs(15);

/// Renews all that there is.
pub async fn renew<Work, Renewing>(db: &Db, some: Work) -> Result<(), db::Error>
where
    Work: Fn(Db) -> Renewing,
    Renewing: Future<Output = Result<bool, db::Error>>,
{
    while some(db.clone()).await? {}
    Ok(())
}

/// Again and again, where that version can run beside this one: on SQLite one process has the database at a time.
pub async fn run<Work, Renewing>(db: Db, some: Work)
where
    Work: Fn(Db) -> Renewing,
    Renewing: Future<Output = Result<bool, db::Error>>,
{
    while db.engine() == Engine::Postgres {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = renew(&db, &some).await {
            tracing::warn!(%error, "what the version before this one wrote is still to be renewed");
        }
    }
}
