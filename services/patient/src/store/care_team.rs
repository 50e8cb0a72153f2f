//! The `care_team` table.

use chrono::NaiveDate;
use contracts::care_team::TEAM_MAX;
use contracts::id::{PatientId, ProviderId};
use db::{Tx, on, sql};
use sqlx::FromRow;

use crate::domain::care_team::Place;

#[derive(FromRow)]
struct Row {
    patient_id: String,
    provider_id: String,
    version: i64,
    is_in: bool,
    last_day: Option<NaiveDate>,
}

impl From<Row> for Place {
    fn from(row: Row) -> Self {
        Self {
            patient: PatientId::trusted(row.patient_id),
            provider: ProviderId::trusted(row.provider_id),
            version: row.version,
            is_in: row.is_in,
            last_day: row.last_day,
        }
    }
}

/// Gives somebody a place in a team, or takes it, under [`db::erasure_lock`]. It has a new version then.
pub async fn care_team_put(
    tx: &mut Tx,
    patient: &PatientId,
    provider: &ProviderId,
    is_in: bool,
    last_day: Option<NaiveDate>,
) -> Result<Place, db::Error> {
    let row: Row = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "insert into care_team (patient_id, provider_id, version, is_in, last_day) values ($1, $2, 1, $3, $4) \
         on conflict (patient_id, provider_id) do update set version = care_team.version + 1, is_in = excluded.is_in, \
             last_day = excluded.last_day \
         returning patient_id, provider_id, version, is_in, last_day"
    ))
    .bind(patient.as_str())
    .bind(provider.as_str())
    .bind(is_in)
    .bind(last_day)
    .fetch_one(conn)
    .await
    })?;
    Ok(row.into())
}

/// Who is in a patient's team that day.
pub async fn care_team_list(
    tx: &mut Tx,
    patient: &PatientId,
    today: NaiveDate,
) -> Result<Vec<Place>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select patient_id, provider_id, version, is_in, last_day from care_team \
         where patient_id = $1 and is_in and (last_day is null or last_day >= $2) order by provider_id limit $3"
    ))
    .bind(patient.as_str())
    .bind(today)
    .bind(i64::from(TEAM_MAX))
    .fetch_all(conn)
    .await
    })?;
    Ok(rows.into_iter().map(Place::from).collect())
}

/// Takes a patient's team away.
pub async fn care_team_forget(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from care_team where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    db::access_forget(tx, patient.as_str()).await
}
