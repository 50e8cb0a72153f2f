//! Appointments as they are counted.
//!
//! Where one stands the database does not know: it is told from its hash, by trying each. What is sealed is opened of those alone that were called off,
//! to know by whom, or of all, if they are counted by it.

use chrono::{DateTime, Utc};
use contracts::appointments::AppointmentStatus;
use db::{Db, Tx, on, sql};
use sqlx::FromRow;

use super::appointment::{Sealed, tag};
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

/// Counts all that begin within the search's time, batch by batch.
pub async fn statistics_tally(tx: &mut Tx, db: &Db, search: Search) -> Result<Tally, db::Error> {
    let (span, mut tally) = (search.span(), Tally::new(search));
    let mut after = (span.starts_at, String::new());
    loop {
        let rows = batch(tx, span, &after).await?;
        let is_last = rows.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        for row in rows {
            after = row.sealed.key();
            if let Some(counted) = counted(db, row, search).await? {
                tally.add(&counted);
            }
        }
        if is_last {
            return Ok(tally);
        }
    }
}

async fn batch(tx: &mut Tx, span: Span, after: &(DateTime<Utc>, String)) -> Result<Vec<Row>, db::Error> {
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

/// `None`: its patient was erased after the row was read.
async fn counted(db: &Db, row: Row, search: Search) -> Result<Option<Counted>, db::Error> {
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
    if search.opens_all() || status.is_none_or(|status| status == AppointmentStatus::Cancelled) {
        let Some(kept) = sealed.open(db).await? else { return Ok(None) };
        cancelled_by = kept.appointment.cancellation.map(|why| why.by);
        visit_type = kept.appointment.plan.visit_type.unwrap_or_default();
        status = Some(kept.appointment.status);
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
