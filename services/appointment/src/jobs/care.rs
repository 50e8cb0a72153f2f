//! Tells the others who treats whom, where a change did not: after an update from a version that told nobody, and of what that version
//! writes while both run.

use std::time::Duration;

use db::Db;

use crate::store::care::care_tell_untold;

const EVERY: Duration = Duration::from_secs(15);

/// Again and again.
pub async fn run(db: Db) {
    loop {
        match tell(&db).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "who treats whom could not be told"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Tells of some. Whether there were any.
pub async fn tell(db: &Db) -> Result<bool, db::Error> {
    db::retrying(db, async |mut tx| {
        let told = care_tell_untold(&mut tx, db).await?;
        tx.commit().await?;
        Ok(told)
    })
    .await
}
