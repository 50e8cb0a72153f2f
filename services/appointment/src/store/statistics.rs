//! Appointments as they are counted.
//!
//! Where one stands the database does not know: it is told from its hash, by trying each. What is sealed is opened of those alone that were called off,
//! to know by whom, or of all, if they are counted by it.

use chrono::{DateTime, Utc};
use contracts::appointments::AppointmentStatus;
use contracts::id::ProviderId;
use db::{Db, Tx, on, sql};
use sqlx::FromRow;

use super::among::among;
use super::appointment::{Sealed, tag};
use crate::domain::report;
use crate::domain::search::Key;
use crate::domain::span::Span;
use crate::domain::statistics::{Counted, Search, Tally};

/// So many rows are read in one go.
const BATCH: i64 = 1_000;

/// The likeliest first.
const LIKELY: [AppointmentStatus; 8] = [
    AppointmentStatus::Completed,
    AppointmentStatus::Scheduled,
    AppointmentStatus::Cancelled,
    AppointmentStatus::Rescheduled,
    AppointmentStatus::Confirmed,
    AppointmentStatus::NoShow,
    AppointmentStatus::CheckedIn,
    AppointmentStatus::InProgress,
];

#[derive(FromRow)]
struct Row {
    ends_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    sealed: Sealed,
}

/// What must be known of an appointment beside its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing.
    Status,
    /// Who called it off.
    Canceller,
    /// What kind of visit it is, too.
    VisitType,
}

/// Counts all that begin within the search's time, batch by batch.
pub async fn statistics_tally(
    tx: &mut Tx,
    db: &Db,
    search: Search,
    mut tally: Tally,
) -> Result<Tally, db::Error> {
    let needs = if search.opens_all() { Needs::VisitType } else { Needs::Canceller };
    each(tx, db, (search.span(), None), needs, |counted| tally.add(&counted)).await?;
    Ok(tally)
}

/// A provider's appointments that begin within a time, for their figures.
pub async fn report_tally(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    span: Span,
) -> Result<report::Tally, db::Error> {
    let mut tally = report::Tally::default();
    each(tx, db, (span, Some(provider)), Needs::Status, |counted| tally.add(&counted)).await?;
    Ok(tally)
}

async fn each(
    tx: &mut Tx,
    db: &Db,
    (span, provider): (Span, Option<&ProviderId>),
    needs: Needs,
    mut add: impl FnMut(Counted),
) -> Result<(), db::Error> {
    let mut after = (span.starts_at, String::new());
    loop {
        let rows = match provider {
            Some(provider) => batch_of(tx, provider, span, &after).await?,
            None => batch(tx, span, &after).await?,
        };
        let is_last = rows.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        for row in rows {
            after = row.sealed.key();
            if let Some(counted) = counted(db, row, needs).await? {
                add(counted);
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

async fn batch(tx: &mut Tx, span: Span, after: &Key) -> Result<Vec<Row>, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, updated_at, status, body \
         from appointment \
         where deleted_at is null and starts_at >= $1 and starts_at < $2 and (starts_at, id) > ($3, $4) \
         order by starts_at, id limit $5"
    ))
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(after.0)
    .bind(&after.1)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?)
}

/// The same of one provider, along their own index.
async fn batch_of(
    tx: &mut Tx,
    provider: &ProviderId,
    span: Span,
    after: &Key,
) -> Result<Vec<Row>, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, updated_at, status, body \
         from appointment \
         where deleted_at is null and provider_id = $1 and starts_at < $2 and (starts_at, id) > ($3, $4) \
         order by starts_at, id limit $5"
    ))
    .bind(provider.as_str())
    .bind(span.ends_at)
    .bind(after.0)
    .bind(&after.1)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?)
}

/// `None`: its patient was erased after the row was read.
async fn counted(db: &Db, row: Row, needs: Needs) -> Result<Option<Counted>, db::Error> {
    let Row { ends_at, created_at, updated_at, sealed } = row;
    let span = Span { starts_at: sealed.key().0, ends_at };
    let provider = sealed.provider().to_owned();
    let mut status = None;
    for likely in LIKELY {
        if tag(db, sealed.id(), likely)? == *sealed.status() {
            status = Some(likely);
            break;
        }
    }
    let (mut visit_type, mut cancelled_by) = (String::new(), None);
    // One that the version before this one has hashed, or hashed in another way, is opened too.
    let opens = match needs {
        Needs::VisitType => true,
        Needs::Canceller => status == Some(AppointmentStatus::Cancelled),
        Needs::Status => false,
    };
    if opens || status.is_none() {
        let id = sealed.id().to_owned();
        // One that cannot be opened is counted for what is known of it.
        match among("appointment", &id, sealed.open(db).await.map(Some))? {
            Some(None) => return Ok(None),
            Some(Some(kept)) => {
                cancelled_by = kept.appointment.cancellation.map(|why| why.by);
                visit_type = kept.appointment.plan.visit_type.unwrap_or_default();
                status = Some(kept.appointment.status);
            }
            None => {}
        }
    }
    Ok(status.map(|status| Counted {
        provider,
        span,
        booked_at: created_at,
        changed_at: updated_at,
        status,
        cancelled_by,
        visit_type,
    }))
}
