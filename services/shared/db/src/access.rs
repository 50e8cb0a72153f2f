//! Who may see whom, kept in each service that asks, so that no read waits for another service: the care that others tell of, and the
//! glass that was broken in an emergency.
//!
//! Each source of care (an appointment, a place in a care team) counts its own changes, and the highest version counts: events come twice
//! and in any order, and all orders end in the same rows.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Error, Tx, on, sql};

/// What is over stays so long, so that an event that comes late finds that it is late. Longer than any sender tries.
const KEEP: TimeDelta = TimeDelta::days(60);

/// That somebody treats somebody, as far as one source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care<'a> {
    /// What says so: `appointment:` or `team:`, and which.
    pub source: &'a str,
    /// Counts the source's changes.
    pub version: i64,
    /// Who is treated.
    pub patient: &'a str,
    /// Who treats.
    pub provider: &'a str,
    /// Until when; `None`: no more.
    pub until: Option<DateTime<Utc>>,
}

/// Somebody who sees whom they treat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carer<'a> {
    /// The user.
    pub user: &'a str,
    /// The provider they are.
    pub provider: Option<&'a str>,
}

/// Why somebody may see a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// They treat them.
    Care,
    /// They do not, and broke the glass: by this grant.
    Glass(String),
}

/// Takes in what a source says, unless a later version of it came before. Under [`erasure_lock`](crate::erasure_lock); of a patient who was
/// erased nothing is kept.
pub async fn care_take(tx: &mut Tx, care: &Care<'_>) -> Result<(), Error> {
    if crate::erasure_is_requested(tx, care.patient).await? {
        return Ok(());
    }
    let now = tx.now();
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into care (source, version, patient_id, provider_id, until, told_at) values ($1, $2, $3, $4, $5, $6) \
         on conflict (source) do update set version = excluded.version, patient_id = excluded.patient_id, \
             provider_id = excluded.provider_id, until = excluded.until, told_at = excluded.told_at \
         where care.version < excluded.version"
    ))
    .bind(care.source)
    .bind(care.version)
    .bind(care.patient)
    .bind(care.provider)
    .bind(care.until)
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Why this patient may be seen, if they may. It is one statement, whether there is such a patient or not.
pub async fn tie(tx: &mut Tx, carer: Carer<'_>, patient: &str) -> Result<Option<Tie>, Error> {
    let now = tx.now();
    let (cares, grant): (i64, Option<String>) = on!(tx, |conn| sqlx::query_as(sql!(
        "select (select count(*) from care where provider_id = $1 and patient_id = $2 and until > $3), \
                (select max(id) from glass where user_id = $4 and patient_id = $2 and until > $3)"
    ))
    .bind(carer.provider)
    .bind(patient)
    .bind(now)
    .bind(carer.user)
    .fetch_one(conn)
    .await)?;
    Ok(if cares > 0 { Some(Tie::Care) } else { grant.map(Tie::Glass) })
}

/// The providers who treat a patient, `limit` at most.
pub async fn carers_of(tx: &mut Tx, patient: &str, limit: u32) -> Result<Vec<String>, Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "select distinct provider_id from care where patient_id = $1 and until > $2 order by provider_id limit $3"
    ))
    .bind(patient)
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
    })?)
}

/// Lets a user see a patient until then, by this grant; not longer than was said of it before, in whatever order it is told. Under
/// [`erasure_lock`](crate::erasure_lock); of a patient who was erased nothing is kept.
pub async fn glass_open(
    tx: &mut Tx,
    grant: &str,
    user: &str,
    patient: &str,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    if crate::erasure_is_requested(tx, patient).await? {
        return Ok(());
    }
    on!(tx, |conn| sqlx::query(sql!(
        "insert into glass (id, user_id, patient_id, until) values ($1, $2, $3, $4) \
         on conflict (id) do update set until = excluded.until where glass.until > excluded.until"
    ))
    .bind(grant)
    .bind(user)
    .bind(patient)
    .bind(until)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Ends a grant now.
pub async fn glass_shut(tx: &mut Tx, grant: &str) -> Result<(), Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("update glass set until = $2 where id = $1 and until > $2"))
        .bind(grant)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// The grant by which a user sees a patient now, and its end.
pub async fn glass_of(
    tx: &mut Tx,
    user: &str,
    patient: &str,
) -> Result<Option<(String, DateTime<Utc>)>, Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, until from glass where user_id = $1 and patient_id = $2 and until > $3 order by until desc limit 1"
    ))
    .bind(user)
    .bind(patient)
    .bind(now)
    .fetch_optional(conn)
    .await
    })?)
}

/// Takes away who treats a patient and who sees them, in the transaction that erases them.
pub async fn access_forget(tx: &mut Tx, patient: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from care where patient_id = $1"))
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!("delete from glass where patient_id = $1"))
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away what is long over.
pub(crate) async fn access_purge(tx: &mut Tx) -> Result<u64, Error> {
    let before = tx.now() - KEEP;
    let care = on!(tx, |conn| sqlx::query(sql!(
        "delete from care where told_at <= $1 and (until is null or until <= $1)"
    ))
    .bind(before)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    let glass = on!(tx, |conn| sqlx::query(sql!("delete from glass where until <= $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(care + glass)
}
