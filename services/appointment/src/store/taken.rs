//! The times that are taken.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Tx, on, sql};

use crate::domain::appointment::MINUTES;
use crate::domain::span::Span;

/// More than fit into the time that is ever looked through, one after the other.
const ROWS_MAX: i64 = 20_000;

type Row = (DateTime<Utc>, DateTime<Utc>);

/// Appointments that begin before this may still last into the range.
fn reach(range: Span) -> DateTime<Utc> {
    range.starts_at - TimeDelta::minutes(i64::from(*MINUTES.end()))
}

fn spans(rows: Vec<Row>) -> impl Iterator<Item = Span> {
    rows.into_iter().map(|(starts_at, ends_at)| Span { starts_at, ends_at })
}

/// When a provider is booked within a range.
pub async fn taken_of_provider(
    tx: &mut Tx,
    provider: &ProviderId,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select starts_at, ends_at from appointment \
             where deleted_at is null and active and provider_id = $1 \
               and starts_at > $2 and starts_at < $3 and id <> $4 \
             order by starts_at limit $5"
        ))
        .bind(provider.as_str())
        .bind(reach(range))
        .bind(range.ends_at)
        .bind(but.map_or("", AppointmentId::as_str))
        .bind(ROWS_MAX)
        .fetch_all(conn)
        .await
    })?;
    Ok(spans(rows).collect())
}

/// When a patient is booked within a range.
pub async fn taken_of_patient(
    tx: &mut Tx,
    patient: &PatientId,
    range: Span,
    but: Option<&AppointmentId>,
) -> Result<Vec<Span>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select starts_at, ends_at from appointment \
             where deleted_at is null and active and patient_id = $1 \
               and starts_at > $2 and starts_at < $3 and id <> $4 \
             order by starts_at limit $5"
        ))
        .bind(patient.as_str())
        .bind(reach(range))
        .bind(range.ends_at)
        .bind(but.map_or("", AppointmentId::as_str))
        .bind(ROWS_MAX)
        .fetch_all(conn)
        .await
    })?;
    Ok(spans(rows).collect())
}
