//! Takes away what is known of emergencies that have had their time; the keys go with the month's, by the database's own housekeeping.

use std::time::Duration;

use db::Db;

use crate::store::break_glass::break_glass_forget;

const EVERY: Duration = Duration::from_hours(1);

/// Again and again.
pub async fn run(db: Db) {
    loop {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "old emergencies could not be taken away");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    break_glass_forget(&mut tx).await?;
    tx.commit().await
}
