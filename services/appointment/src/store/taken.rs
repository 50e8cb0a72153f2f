//! The times that are taken: what free slots are told without. Whatever else takes a provider's time (holds, events of outside calendars) is told
//! here too, so that everything that offers or judges a time knows of it.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Tx, on, sql};
use sqlx::FromRow;

use crate::domain::appointment::MINUTES;
use crate::domain::span::Span;
use crate::domain::taken::Taken;
use crate::domain::visit::BUFFER_MINUTES_MAX;

/// More than fit into the time that is ever looked through, one after the other, for provider and patient each.
const ROWS_MAX: i64 = 40_000;

#[derive(FromRow)]
struct Row {
    id: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    busy_from: Option<DateTime<Utc>>,
    busy_until: Option<DateTime<Utc>>,
    is_of_provider: bool,
}

impl From<Row> for Taken {
    fn from(row: Row) -> Self {
        let Row { id, starts_at, ends_at, busy_from, busy_until, is_of_provider } = row;
        let with_buffers =
            Span { starts_at: busy_from.unwrap_or(starts_at), ends_at: busy_until.unwrap_or(ends_at) };
        Self { id, itself: Span { starts_at, ends_at }, with_buffers, is_of_provider }
    }
}

/// When a provider is booked or held within a range, with the buffers of what is booked, or busy with what stands in a calendar outside, or the patient
/// is booked, if one is to come; in no order.
pub async fn taken(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    let taken = taken_by(tx, provider, patient, range).await?;
    let is_another = |id: &str| but.is_none_or(|but| but.as_str() != id);
    Ok(taken.into_iter().filter(|taken| is_another(&taken.id)).map(|taken| taken.with_buffers).collect())
}

/// The same, each with its id, and with the time that it takes itself. Each is looked up along its own index.
pub async fn taken_by(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
) -> Result<Vec<Taken>, db::Error> {
    let now = tx.now();
    // Appointments that begin before the range may still last into it, and those that begin after it may want time before them.
    let buffer = TimeDelta::minutes(i64::from(BUFFER_MINUTES_MAX));
    let from = range.starts_at - TimeDelta::minutes(i64::from(*MINUTES.end())) - buffer;
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, starts_at, ends_at, busy_from, busy_until, true as is_of_provider from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at > $3 and starts_at < $4 \
         union all \
         select id, starts_at, ends_at, starts_at, ends_at, false from appointment \
         where deleted_at is null and active and patient_id = $2 and starts_at > $3 and starts_at < $4 \
         union all \
         select id, starts_at, ends_at, busy_from, busy_until, true from slot_hold \
         where provider_id = $1 and starts_at > $3 and starts_at < $4 and expires_at > $6 \
         union all \
         select '', starts_at, ends_at, starts_at, ends_at, true from outside_busy where provider_id = $1 and ends_at > $7 and starts_at < $4 \
         limit $5"
        ))
        .bind(provider.as_str())
        .bind(patient.map_or("", PatientId::as_str))
        .bind(from)
        .bind(range.ends_at + buffer)
        .bind(ROWS_MAX)
        .bind(now)
        .bind(range.starts_at)
        .fetch_all(conn)
        .await
    })?;
    Ok(rows.into_iter().map(Taken::from).collect())
}
