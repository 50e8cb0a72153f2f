//! Takes away notifications that have had their time; the keys of those that concern no patient go with the month's, by the database's
//! own housekeeping.

use std::time::Duration;

use db::Db;

use crate::store::notification::notifications_forget;
use crate::store::told::told_forget;

const EVERY: Duration = Duration::from_hours(1);

/// Again and again.
pub async fn run(db: Db) {
    loop {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "old notifications could not be taken away");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    notifications_forget(&mut tx).await?;
    told_forget(&mut tx).await?;
    tx.commit().await
}
