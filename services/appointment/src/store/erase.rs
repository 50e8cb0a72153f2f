//! What goes, or is kept aside, when a patient or a provider goes.

use chrono::{DateTime, Datelike, Utc};
use contracts::appointments::AppointmentChange;
use contracts::id::{AppointmentId, PatientId, ProviderId};
use db::{Db, Fate, Item, Tx, on, sql};
use http_kit::View;
use http_kit::page::Window;
use serde::Serialize;
use sqlx::FromRow;

use crate::store::among::Want;
use crate::store::appointment::{Kept, Sealed, provider_lock};
use crate::store::change::change_list;
use crate::store::feed::{feeds_of_patient_delete, feeds_of_provider_delete};
use crate::store::hold::{holds_of_patient_delete, holds_of_provider_delete};
use crate::store::referral::{
    Kept as KeptReferral, Search, referral_changes, referral_search, referrals_erase,
};
use crate::store::series::series_of_patient_delete;
use crate::store::state::availability_changed;
use crate::store::waitlist::waitlist_of_patient_delete;
use crate::store::webhook::webhooks_of_provider_delete;

/// So many are looked at in one go.
const BATCH: i64 = 100;

#[derive(FromRow)]
struct Row {
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    sealed: Sealed,
}

/// A change, and of which appointment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Of which.
    pub appointment_id: AppointmentId,
    /// What.
    #[serde(flatten)]
    pub change: AppointmentChange,
}

/// Takes away all that is held of a patient, and asks for their key to be destroyed. What has its years, or whom a hold is on, is kept aside; the
/// ids stay taken.
pub async fn patient_erase(tx: &mut Tx, db: &Db, patient: &PatientId, years: u32) -> Result<(), db::Error> {
    // Whoever books for the patient meanwhile waits for this lock, and then sees that they are gone.
    db::erasure_lock(tx, patient.as_str()).await?;
    db::erasure_request(tx, patient.as_str()).await?;
    let hold = db::legal_hold_on(tx, patient.as_str()).await?;
    let now = tx.now();
    let freed = providers_of(tx, patient, now).await?;
    if years > 0 || hold.is_some() {
        keep_aside(tx, db, patient, (years, hold)).await?;
        keep_referrals_aside(tx, db, patient, (years, hold)).await?;
    }
    // The bodies first: whoever is changing one of these rows is waited for here, and what they add to the history goes with the rest.
    let appointments = on!(tx, |conn| sqlx::query(sql!(
        "update appointment set version = version + 1, updated_at = $2, deleted_at = $2, \
             active = $3, status = null, body = null \
         where patient_id = $1 and deleted_at is null"
    ))
    .bind(patient.as_str())
    .bind(now)
    .bind(false)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    let changes = on!(tx, |conn| {
        sqlx::query(sql!(
        "delete from appointment_change \
         where appointment_id in (select id from appointment where patient_id = $1 and deleted_at is not null)"
    ))
    .bind(patient.as_str())
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "update appointment set patient_id = null, series_id = null where patient_id = $1 and deleted_at is not null"
    ))
    .bind(patient.as_str())
    .execute(conn)
    .await
    .map(drop)
    })?;
    let referrals = referrals_erase(tx, patient).await?;
    let feeds = feeds_of_patient_delete(tx, patient).await?;
    let holds = holds_of_patient_delete(tx, patient).await?;
    let waits = waitlist_of_patient_delete(tx, patient).await?;
    let series = series_of_patient_delete(tx, patient).await?;
    db::access_forget(tx, patient.as_str()).await?;
    // Appointments first, and then what is counted of their providers: as whoever cancels one does.
    for provider in &freed {
        availability_changed(tx, provider).await?;
    }
    let shredded = [
        ("appointments", appointments),
        ("history", changes),
        ("feeds", feeds),
        ("holds", holds),
        ("waitlist", waits),
        ("series", series),
        ("referrals", referrals),
    ];
    db::erasure_shredded(tx, db, patient.as_str(), &shredded).await
}

/// Whose time is freed: in order, as whoever counts it for two does.
async fn providers_of(
    tx: &mut Tx,
    patient: &PatientId,
    from: DateTime<Utc>,
) -> Result<Vec<ProviderId>, db::Error> {
    let ids: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select distinct provider_id from appointment \
         where patient_id = $1 and deleted_at is null and active and ends_at > $2 order by provider_id"
    ))
    .bind(patient.as_str())
    .bind(from)
    .fetch_all(conn)
    .await)?;
    Ok(ids.into_iter().map(ProviderId::trusted).collect())
}

/// What can never be opened cannot be kept, and keeps nobody from being erased; under a legal hold nothing may go unseen.
fn want(hold: Option<i64>) -> Want {
    if hold.is_some() { Want::Whole } else { Want::Undamaged }
}

async fn keep_aside(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    (years, hold): (u32, Option<i64>),
) -> Result<(), db::Error> {
    let (mut after, this_year) = (String::new(), db::retention_year(tx.now()));
    loop {
        let rows = batch(tx, patient, &after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        last.sealed.id().clone_into(&mut after);
        for Row { updated_at, sealed } in rows {
            let Some(kept) = sealed.open_wanted(db, want(hold)).await? else { continue };
            // It is not over before it was to take place.
            let from_year = i64::from(updated_at.year().max(kept.starts_at.year()));
            if let Fate::Kept(how) = db::fate_at_erasure(from_year, Some(years), hold, this_year) {
                aside(tx, db, &kept, (patient, from_year, how)).await?;
            }
        }
    }
}

async fn batch(tx: &mut Tx, patient: &PatientId, after: &str) -> Result<Vec<Row>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, updated_at, body from appointment \
         where patient_id = $1 and deleted_at is null and id > $2 order by id limit $3"
    ))
    .bind(patient.as_str())
    .bind(after)
    .bind(BATCH)
    .fetch_all(conn)
    .await)?)
}

/// The row first: whoever changes it is waited for here.
async fn aside(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    (patient, from_year, how): (&PatientId, i64, db::Kept),
) -> Result<(), db::Error> {
    clear(tx, kept).await?;
    let shown = kept.appointment.view(&kept.id, View::Whole);
    db::retained_put(
        tx,
        db,
        Item { kind: "appointments", id: kept.id.as_str(), patient: patient.as_str(), from_year },
        how,
        &shown,
    )
    .await?;
    let mut window = Window { after: None, limit: contracts::page::LIMIT_MAX };
    loop {
        let changes = change_list(tx, db, &kept.id, patient, &window).await?;
        let Some((last, _)) = changes.last() else { break };
        window.after = Some(*last);
        for (version, change) in changes {
            let (id, appointment_id) = (format!("{}:{version}", kept.id), kept.id.clone());
            let change = Change { appointment_id, change };
            db::retained_put(
                tx,
                db,
                Item { kind: "history", id: &id, patient: patient.as_str(), from_year },
                how,
                &change,
            )
            .await?;
        }
    }
    on!(tx, |conn| sqlx::query(sql!("delete from appointment_change where appointment_id = $1"))
        .bind(kept.id.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

async fn clear(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    let now = tx.now();
    let cleared = on!(tx, |conn| sqlx::query(sql!(
        "update appointment set version = version + 1, updated_at = $3, deleted_at = $3, \
             active = $4, status = null, body = null, patient_id = null, series_id = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(now)
    .bind(false)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if cleared == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

async fn keep_referrals_aside(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    (years, hold): (u32, Option<i64>),
) -> Result<(), db::Error> {
    let this_year = db::retention_year(tx.now());
    let window = Window { after: None, limit: contracts::page::LIMIT_MAX };
    let mut search = Search { patient: Some(patient.clone()), provider: None, want: want(hold), window };
    loop {
        let referrals = referral_search(tx, db, &search, None).await?;
        let Some((last, _)) = referrals.last() else { return Ok(()) };
        search.window.after = Some(last.clone());
        for (_, kept) in referrals {
            let from_year = i64::from(kept.updated_at.year());
            if let Fate::Kept(how) = db::fate_at_erasure(from_year, Some(years), hold, this_year) {
                referral_aside(tx, db, &kept, (from_year, how)).await?;
            }
        }
    }
}

/// With its history. The row goes with all the others of the patient's.
async fn referral_aside(
    tx: &mut Tx,
    db: &Db,
    kept: &KeptReferral,
    (from_year, how): (i64, db::Kept),
) -> Result<(), db::Error> {
    let patient = &kept.referral.patient;
    let history = referral_changes(tx, db, (&kept.id, patient), View::Whole).await?;
    let view = kept.referral.view((&kept.id, kept.created_at), View::Whole, tx.now().date_naive());
    let shown = contracts::referrals::Referral { history, ..view };
    let item = Item { kind: "referrals", id: kept.id.as_str(), patient: patient.as_str(), from_year };
    db::retained_put(tx, db, item, how, &shown).await
}

/// Notes that a provider's profile is gone: nothing can be booked with them any more.
pub async fn provider_remove(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    tx.lock(&[&provider_lock(provider)]).await?;
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "insert into removed_provider (id, removed_at) values ($1, $2) on conflict (id) do nothing"
    ))
    .bind(provider.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!("delete from outside_busy where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    holds_of_provider_delete(tx, provider).await?;
    webhooks_of_provider_delete(tx, provider).await?;
    feeds_of_provider_delete(tx, provider).await
}
