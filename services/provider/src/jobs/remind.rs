//! Tells of credentials that end soon: once for each threshold, whichever replica comes first.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use contracts::event::{CredentialNotice, Event, What};
use contracts::id::EventId;
use db::Db;
use http_kit::relay;

use crate::domain::reminder::{DAYS, due};
use crate::store::reminder::{Ending, credential_told, credentials_ending};

const EVERY: Duration = Duration::from_mins(10);
/// Looked through at a time.
const BATCH: i64 = 100;

/// Again and again. `zone`: whose date it is by.
pub async fn run(db: Db, zone: Tz) {
    loop {
        if let Err(error) = all(&db, zone).await {
            tracing::warn!(%error, "of credentials that end soon nobody could be told");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Tells of all that are due. How many there were.
pub async fn all(db: &Db, zone: Tz) -> Result<u64, db::Error> {
    let today = db.clock().now().with_timezone(&zone).date_naive();
    let until = today.checked_add_days(Days::new(DAYS[0].unsigned_abs())).unwrap_or(NaiveDate::MAX);
    let (mut after, mut told) = ((today, String::new()), 0);
    loop {
        let mut tx = db.read().await?;
        let some = credentials_ending(&mut tx, &after, until, BATCH).await?;
        drop(tx);
        let Some(last) = some.last() else { return Ok(told) };
        after = (last.expires_on, last.id.clone());
        for ending in some {
            if let Some(days) = due(today, ending.expires_on, ending.told_days) {
                told += u64::from(one(db, &ending, days).await?);
            }
        }
    }
}

/// Tells of one, unless another replica has, or it was renewed or revoked meanwhile.
async fn one(db: &Db, ending: &Ending, days: i64) -> Result<bool, db::Error> {
    db::retrying(db, async |mut tx| {
        if !credential_told(&mut tx, ending, days).await? {
            return Ok(false);
        }
        let notice = CredentialNotice {
            credential_id: ending.credential_id(),
            provider_id: ending.provider_id(),
            expires_on: ending.expires_on.to_string(),
        };
        let what = What::CredentialExpiring(notice);
        let event = Event { id: EventId::generate(db.random()), occurred_at: tx.now(), what };
        relay::publish(&mut tx, db, &event).await?;
        tx.commit().await?;
        Ok(true)
    })
    .await
}
