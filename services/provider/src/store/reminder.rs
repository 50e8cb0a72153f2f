//! Which credentials end soon, and of which of them somebody was told.

use chrono::NaiveDate;
use contracts::id::{CredentialId, ProviderId};
use db::{Tx, on, sql};
use sqlx::FromRow;

/// A credential that ends.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Ending {
    /// Which.
    pub id: String,
    /// Whose.
    pub provider_id: String,
    /// Its last day.
    pub expires_on: NaiveDate,
    /// For how many days before that somebody was told last.
    pub told_days: Option<i64>,
}

impl Ending {
    /// Which.
    pub fn credential_id(&self) -> CredentialId {
        CredentialId::trusted(self.id.clone())
    }

    /// Whose.
    pub fn provider_id(&self) -> ProviderId {
        ProviderId::trusted(self.provider_id.clone())
    }
}

/// Some of those that end between two days, the first first; revoked ones are no matter any more.
pub async fn credentials_ending(
    tx: &mut Tx,
    after: &(NaiveDate, String),
    until: NaiveDate,
    limit: i64,
) -> Result<Vec<Ending>, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, provider_id, expires_on, told_days from credential \
         where expires_on is not null and revoked_at is null and (expires_on, id) > ($1, $2) and expires_on <= $3 \
         order by expires_on, id limit $4"
    ))
    .bind(after.0)
    .bind(&after.1)
    .bind(until)
    .bind(limit)
    .fetch_all(conn)
    .await
    })?)
}

/// Notes that somebody is told, if nobody was told of as little or less, and it still ends then; tells whether so.
pub async fn credential_told(tx: &mut Tx, ending: &Ending, days: i64) -> Result<bool, db::Error> {
    let noted = on!(tx, |conn| sqlx::query(sql!(
        "update credential set told_days = $3 \
         where id = $1 and expires_on = $2 and revoked_at is null and (told_days is null or told_days > $3)"
    ))
    .bind(&ending.id)
    .bind(ending.expires_on)
    .bind(days)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(noted == 1)
}
