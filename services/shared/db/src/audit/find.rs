//! Entries looked for: by patient, by user, role or session that it was about, by who it was, by operation and outcome, in a stretch of
//! time; the newest first.

use chrono::{DateTime, Utc};
use contracts::target::Target;
use sqlx::FromRow;

use super::chain::Keys;
use super::damage::{AuditDamage, Found, opened};
use super::entry::{AuditEntry, AuditOutcome, patient_hash, target_hash, who_hash};
use crate::{Db, Error, on, sql};

/// What is looked for. Nothing said: everything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// About this patient.
    pub patient: Option<String>,
    /// About this user, role or session.
    pub target: Option<Target>,
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
    /// What it says: of one that cannot be read, only what its row does.
    pub entry: AuditEntry,
    /// What is wrong with it. Such a one is shown all the same: who damages an entry does not hide it.
    pub damage: Option<AuditDamage>,
}

/// The entries that are looked for, the newest first.
pub async fn audit_find(db: &Db, filter: &AuditFilter) -> Result<Vec<FoundEntry>, Error> {
    let patient = filter.patient.as_deref().map(|patient| patient_hash(db, patient)).transpose()?;
    let target = filter.target.as_ref().map(|target| target_hash(db, target)).transpose()?;
    // They stand in one table. By the first it is looked for, and the second asked for beside it.
    let (about, also) = match (patient, target) {
        (Some(patient), target) => (Some(patient), target.unwrap_or_default()),
        (None, target) => (target, String::new()),
    };
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
    let found: Vec<Found> = match about {
        Some(about) => on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select audit.chain, audit.seq, audit.at, audit.generation, audit.operation, audit.outcome, audit.who, \
             audit.patients, audit.body, audit.mac, cast(audit.at as text) as at_text, prior.mac as mac_before \
             from audit_patient join audit on audit.chain = audit_patient.chain and audit.seq = audit_patient.seq \
             left join audit prior on prior.chain = audit.chain and prior.seq = audit.seq - 1 \
             where audit_patient.patient = $1 and audit_patient.at >= $2 and audit_patient.at < $3 \
             and (audit_patient.at, audit_patient.chain, audit_patient.seq) < ($4, $5, $6) \
             and ($7 = '' or audit.who = $7) and ($8 = '' or audit.operation = $8) \
             and ($9 = '' or audit.outcome = $9) \
             and ($10 = '' or exists (select 1 from audit_patient also where also.patient = $10 \
             and also.at = audit_patient.at and also.chain = audit.chain and also.seq = audit.seq)) \
             order by audit_patient.at desc, audit_patient.chain desc, audit_patient.seq desc limit $11"
        ))
        .bind(&about)
        .bind(from)
        .bind(until)
        .bind(before.at)
        .bind(&before.chain)
        .bind(before.seq)
        .bind(&who)
        .bind(operation)
        .bind(outcome)
        .bind(&also)
        .bind(limit)
        .fetch_all(conn)
        .await
        })?,
        None => on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select audit.chain, audit.seq, audit.at, audit.generation, audit.operation, audit.outcome, audit.who, \
             audit.patients, audit.body, audit.mac, cast(audit.at as text) as at_text, prior.mac as mac_before \
             from audit left join audit prior on prior.chain = audit.chain and prior.seq = audit.seq - 1 \
             where audit.at >= $1 and audit.at < $2 and (audit.at, audit.chain, audit.seq) < ($3, $4, $5) \
             and ($6 = '' or audit.who = $6) and ($7 = '' or audit.operation = $7) \
             and ($8 = '' or audit.outcome = $8) \
             order by audit.at desc, audit.chain desc, audit.seq desc limit $9"
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
    drop(tx);
    let (mut entries, mut keys) = (Vec::with_capacity(found.len()), Keys::default());
    for found in found {
        entries.extend(opened(db, &mut keys, found).await?);
    }
    Ok(entries)
}

/// The last instant whose text sorts as it should: see [`crate`].
fn end_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
