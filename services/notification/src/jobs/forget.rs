//! Takes away notifications that have had their time, and what is known of appointments and users that are long over. The keys of notifications that concern
//! no patient go with the month's, by the database's own housekeeping.

use std::time::Duration;

use db::Db;

use crate::store::notification::notifications_forget;
use crate::store::told::told_forget;
use crate::store::told_user::users_forget;

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

/// Once.
///
/// # Errors
/// If the database does not take it.
pub async fn forget(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    notifications_forget(&mut tx).await?;
    told_forget(&mut tx).await?;
    users_forget(&mut tx).await?;
    tx.commit().await
}
