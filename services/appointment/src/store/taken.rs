//! The times that are taken.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Tx, on, sql};

use crate::domain::appointment::MINUTES;
use crate::domain::span::Span;

/// More than fit into the time that is ever looked through, one after the other, for provider and patient each.
const ROWS_MAX: i64 = 40_000;

/// When a provider is booked or held within a range, or the patient is booked, if one is to come; in no order.
pub async fn taken(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    let taken = taken_by(tx, provider, patient, range).await?;
    let is_another = |id: &str| but.is_none_or(|but| but.as_str() != id);
    Ok(taken.into_iter().filter(|(id, _)| is_another(id)).map(|(_, span)| span).collect())
}

/// The same, each with the id of the appointment or of the hold. Each is looked up along its own index.
pub async fn taken_by(
    tx: &mut Tx,
    provider: &ProviderId,
    patient: Option<&PatientId>,
    range: Span,
) -> Result<Vec<(String, Span)>, db::Error> {
    let now = tx.now();
    // Appointments that begin before the range may still last into it.
    let reach = range.starts_at - TimeDelta::minutes(i64::from(*MINUTES.end()));
    let rows: Vec<(String, DateTime<Utc>, DateTime<Utc>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, starts_at, ends_at from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at > $3 and starts_at < $4 \
         union all \
         select id, starts_at, ends_at from appointment \
         where deleted_at is null and active and patient_id = $2 and starts_at > $3 and starts_at < $4 \
         union all \
         select id, starts_at, ends_at from slot_hold \
         where provider_id = $1 and starts_at > $3 and starts_at < $4 and expires_at > $6 \
         limit $5"
        ))
        .bind(provider.as_str())
        .bind(patient.map_or("", PatientId::as_str))
        .bind(reach)
        .bind(range.ends_at)
        .bind(ROWS_MAX)
        .bind(now)
        .fetch_all(conn)
        .await
    })?;
    Ok(rows.into_iter().map(|(id, starts_at, ends_at)| (id, Span { starts_at, ends_at })).collect())
}
