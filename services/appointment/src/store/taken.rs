//! The times that are taken.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Tx, on, sql};

use crate::domain::appointment::MINUTES;
use crate::domain::span::Span;

/// More than fit into the time that is ever looked through, one after the other, for provider and patient each.
const ROWS_MAX: i64 = 40_000;

/// When a provider is booked within a range, or busy with what stands in a calendar outside, or the patient is booked, if one is to come; in no order. Each is looked up along its own index.
pub async fn taken(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    // Appointments that begin before the range may still last into it.
    let reach = range.starts_at - TimeDelta::minutes(i64::from(*MINUTES.end()));
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select starts_at, ends_at from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at > $3 and starts_at < $4 and id <> $5 \
         union all \
         select starts_at, ends_at from appointment \
         where deleted_at is null and active and patient_id = $2 and starts_at > $3 and starts_at < $4 and id <> $5 \
         union all \
         select starts_at, ends_at from outside_busy where provider_id = $1 and ends_at > $7 and starts_at < $4 \
         limit $6"
    ))
    .bind(provider.as_str())
    .bind(patient.map_or("", PatientId::as_str))
    .bind(reach)
    .bind(range.ends_at)
    .bind(but.map_or("", AppointmentId::as_str))
    .bind(ROWS_MAX)
    .bind(range.starts_at)
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().map(|(starts_at, ends_at)| Span { starts_at, ends_at }).collect())
}
