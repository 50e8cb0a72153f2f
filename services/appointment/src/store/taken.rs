//! The times that are taken: what free slots are told without. Whatever else takes a provider's time (holds, events of outside calendars) is told
//! here too, so that everything that offers or judges a time knows of it.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Tx, on, sql};

use crate::domain::appointment::MINUTES;
use crate::domain::span::Span;
use crate::domain::visit::BUFFER_MINUTES_MAX;

/// More than fit into the time that is ever looked through, one after the other, for provider and patient each.
const ROWS_MAX: i64 = 40_000;

/// When a provider is booked within a range, with the buffers of what is booked, or the patient, if one is to come; in no order. Each is looked up
/// along its own index.
pub async fn taken(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    // Appointments that begin before the range may still last into it, and those that begin after it may want time before them.
    let buffer = TimeDelta::minutes(i64::from(BUFFER_MINUTES_MAX));
    let from = range.starts_at - TimeDelta::minutes(i64::from(*MINUTES.end())) - buffer;
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select coalesce(busy_from, starts_at), coalesce(busy_until, ends_at) from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at > $3 and starts_at < $4 and id <> $5 \
         union all \
         select starts_at, ends_at from appointment \
         where deleted_at is null and active and patient_id = $2 and starts_at > $3 and starts_at < $4 and id <> $5 \
         limit $6"
    ))
    .bind(provider.as_str())
    .bind(patient.map_or("", PatientId::as_str))
    .bind(from)
    .bind(range.ends_at + buffer)
    .bind(but.map_or("", AppointmentId::as_str))
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().map(|(starts_at, ends_at)| Span { starts_at, ends_at }).collect())
}
