//! Takes away sessions, attempts, revocations and second factors that were offered, once they have had their time.

use std::time::Duration;

use db::Db;

use crate::store::attempt::attempt_purge;
use crate::store::revocation::revocation_purge;
use crate::store::second_factor::second_factor_purge;
use crate::store::session::session_purge;

const EVERY: Duration = Duration::from_mins(10);

/// Purges, again and again.
pub async fn run(db: Db) {
    loop {
        if let Err(error) = purge(&db).await {
            tracing::warn!(%error, "what is past its time could not be purged");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Purges once.
pub async fn purge(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    attempt_purge(&mut tx).await?;
    second_factor_purge(&mut tx).await?;
    session_purge(&mut tx).await?;
    revocation_purge(&mut tx).await?;
    tx.commit().await
}
