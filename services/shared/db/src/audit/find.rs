//! Entries looked for: by patient, by who it was, by operation and outcome, in a stretch of time; the newest first.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::entry::{AuditEntry, AuditOutcome, open, patient_hash, who_hash};
use crate::{Db, Error, on, sql};

/// What is looked for. Nothing said: everything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// About this patient.
    pub patient: Option<String>,
    /// Done by this user or service.
    pub who: Option<String>,
    /// This operation.
    pub operation: Option<String>,
    /// With this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Then or later.
    pub from: Option<DateTime<Utc>>,
    /// Before that.
    pub until: Option<DateTime<Utc>>,
    /// Older than the one that stands there.
    pub before: Option<AuditPlace>,
    /// So many at most.
    pub limit: u32,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub struct AuditPlace {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// In which chain.
    pub chain: String,
    /// Its number there, from 1.
    pub seq: i64,
}

/// An entry, and where it stands.
#[derive(Clone)]
pub struct FoundEntry {
    /// Where.
    pub place: AuditPlace,
    /// What it says.
    pub entry: AuditEntry,
}

#[derive(FromRow)]
struct Found {
    #[sqlx(flatten)]
    place: AuditPlace,
    body: Vec<u8>,
}

/// The entries that are looked for, the newest first.
pub async fn audit_find(db: &Db, filter: &AuditFilter) -> Result<Vec<FoundEntry>, Error> {
    let patient = filter.patient.as_deref().map(|patient| patient_hash(db, patient)).transpose()?;
    let who = filter.who.as_deref().map(|who| who_hash(db, who)).transpose()?.unwrap_or_default();
    let operation = filter.operation.as_deref().unwrap_or_default();
    let outcome = filter.outcome.map_or("", AuditOutcome::as_str);
    let from = filter.from.unwrap_or(DateTime::UNIX_EPOCH).clamp(DateTime::UNIX_EPOCH, end_of_time());
    let until = filter.until.unwrap_or_else(end_of_time).clamp(DateTime::UNIX_EPOCH, end_of_time());
    let before = filter.before.clone();
    // Behind every place that there is.
    let before =
        before.unwrap_or_else(|| AuditPlace { at: end_of_time(), chain: String::new(), seq: i64::MAX });
    let limit = i64::from(filter.limit);
    let mut tx = db.read().await?;
    let found: Vec<Found> = match patient {
        Some(patient) => on!(tx, |conn| sqlx::query_as(sql!(
            "select audit.at, audit.chain, audit.seq, audit.body from audit_patient \
             join audit on audit.chain = audit_patient.chain and audit.seq = audit_patient.seq \
             where audit_patient.patient = $1 and audit_patient.at >= $2 and audit_patient.at < $3 \
             and (audit_patient.at, audit_patient.chain, audit_patient.seq) < ($4, $5, $6) \
             and ($7 = '' or audit.who = $7) and ($8 = '' or audit.operation = $8) \
             and ($9 = '' or audit.outcome = $9) \
             order by audit_patient.at desc, audit_patient.chain desc, audit_patient.seq desc limit $10"
        ))
        .bind(&patient)
        .bind(from)
        .bind(until)
        .bind(before.at)
        .bind(&before.chain)
        .bind(before.seq)
        .bind(&who)
        .bind(operation)
        .bind(outcome)
        .bind(limit)
        .fetch_all(conn)
        .await)?,
        None => on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select at, chain, seq, body from audit where at >= $1 and at < $2 and (at, chain, seq) < ($3, $4, $5) \
             and ($6 = '' or who = $6) and ($7 = '' or operation = $7) and ($8 = '' or outcome = $8) \
             order by at desc, chain desc, seq desc limit $9"
        ))
        .bind(from)
        .bind(until)
        .bind(before.at)
        .bind(&before.chain)
        .bind(before.seq)
        .bind(&who)
        .bind(operation)
        .bind(outcome)
        .bind(limit)
        .fetch_all(conn)
        .await
        })?,
    };
    let mut entries = Vec::with_capacity(found.len());
    for Found { place, body } in found {
        match open(db, place.at, &body).await {
            Ok(entry) => entries.push(FoundEntry { place, entry }),
            // Its time is over. That it was there can still be verified.
            Err(Error::KeyDestroyed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// The last instant whose text sorts as it should: see [`crate`].
fn end_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
