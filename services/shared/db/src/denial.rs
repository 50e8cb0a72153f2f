//! What patients do not share, kept in each service that has to keep to it, so that no read waits for another service.
//!
//! Whom a consent denies what stands as keyed hashes: a kind of data with somebody's role, provider or user. Who asks brings the hashes of all
//! that they are ([`denied_name`]), as one text, so that one bind does for however many. The states of a patient's consents are counted, and
//! the highest counts: events come twice and in any order.

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sqlx::FromRow;

use crate::{Db, Error, Tx, on, sql};

/// Something that is not shared with somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// By which consent.
    pub consent: String,
    /// Whom what: [`denied_name`].
    pub who: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What a row of a list says of consent: whether one denies it to who asks, and whether they broke the glass.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Denied {
    /// The consent that does.
    #[sqlx(default)]
    pub denial: Option<String>,
    /// The grant by which they see it all the same.
    #[sqlx(default)]
    pub glass: Option<String>,
}

/// The keyed hash of a kind of data that is denied to somebody, be it by role, as a provider or as a user: `kind` says which.
pub fn denied_name(db: &Db, class: &str, kind: &str, who: &str) -> Result<String, Error> {
    Ok(HEXLOWER.encode(&db.vault().blind("denial", &format!("{class} {kind} {who}"))?))
}

/// Which state of a patient's consents is kept, from 1; 0 if there never were any.
pub async fn denial_version(tx: &mut Tx, patient: &str) -> Result<i64, Error> {
    let version: Option<i64> =
        on!(tx, |conn| sqlx::query_scalar(sql!("select version from denial_edition where patient_id = $1"))
            .bind(patient)
            .fetch_optional(conn)
            .await)?;
    Ok(version.unwrap_or_default())
}

/// Keeps all that a patient denies anybody, in place of what was kept, unless a later state came before. Under
/// [`erasure_lock`](crate::erasure_lock); of a patient who was erased nothing is kept.
pub async fn denials_put(tx: &mut Tx, patient: &str, version: i64, denials: &[Denial]) -> Result<(), Error> {
    if crate::erasure_is_requested(tx, patient).await? || !is_newer(tx, patient, version).await? {
        return Ok(());
    }
    on!(tx, |conn| sqlx::query(sql!("delete from denial where patient_id = $1"))
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    for denial in denials {
        on!(tx, |conn| sqlx::query(sql!(
            "insert into denial (consent, who, patient_id, until) values ($1, $2, $3, $4) \
             on conflict (consent, who) do nothing"
        ))
        .bind(&denial.consent)
        .bind(&denial.who)
        .bind(patient)
        .bind(denial.until)
        .execute(conn)
        .await
        .map(drop))?;
    }
    Ok(())
}

async fn is_newer(tx: &mut Tx, patient: &str, version: i64) -> Result<bool, Error> {
    let taken = on!(tx, |conn| sqlx::query(sql!(
        "insert into denial_edition (patient_id, version) values ($1, $2) \
         on conflict (patient_id) do update set version = excluded.version \
         where denial_edition.version < excluded.version"
    ))
    .bind(patient)
    .bind(version)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(taken == 1)
}

/// Takes away what a patient denied, in the transaction that erases them.
pub(crate) async fn denials_forget(tx: &mut Tx, patient: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from denial where patient_id = $1"))
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!("delete from denial_edition where patient_id = $1"))
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away what was over then.
pub(crate) async fn denials_purge(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64, Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from denial where until <= $1"))
        .bind(before)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
