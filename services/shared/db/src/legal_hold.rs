//! Whom a legal hold is on, as each service keeps it for itself: so that it asks nobody when somebody is erased, or what is kept of them is over.
//!
//! Why there is one stands where it was placed (the patient service), and nowhere else.

use chrono::{DateTime, Utc};

use crate::{Error, Tx, on, sql};

/// A hold as it is now: of its states the highest version counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegalHold {
    /// Counts its changes, from 1.
    pub version: i64,
    /// Whether it was placed, and not lifted since.
    pub is_active: bool,
    /// Until when it is on at most.
    pub until: Option<DateTime<Utc>>,
}

impl LegalHold {
    /// Its version, if it is on then.
    pub fn on_at(self, now: DateTime<Utc>) -> Option<i64> {
        (self.is_active && self.until.is_none_or(|until| now < until)).then_some(self.version)
    }
}

/// Takes in what a hold is now, under [`erasure_lock`](crate::erasure_lock), unless a later state came before.
pub async fn legal_hold_take(tx: &mut Tx, patient: &str, hold: LegalHold) -> Result<(), Error> {
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into legal_hold (patient, version, is_active, until) values ($1, $2, $3, $4) \
         on conflict (patient) do update set version = excluded.version, is_active = excluded.is_active, until = excluded.until \
         where legal_hold.version < excluded.version"
    ))
    .bind(patient)
    .bind(hold.version)
    .bind(hold.is_active)
    .bind(hold.until)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// The hold of a patient, if there is or was one.
pub async fn legal_hold_find(tx: &mut Tx, patient: &str) -> Result<Option<LegalHold>, Error> {
    type Row = (i64, bool, Option<DateTime<Utc>>);
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select version, is_active, until from legal_hold where patient = $1"
    ))
    .bind(patient)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(|(version, is_active, until)| LegalHold { version, is_active, until }))
}

/// The version of the hold that is on a patient now, if one is.
pub async fn legal_hold_on(tx: &mut Tx, patient: &str) -> Result<Option<i64>, Error> {
    let now = tx.now();
    Ok(legal_hold_find(tx, patient).await?.and_then(|hold| hold.on_at(now)))
}
