//! The `appointment` table, one appointment at a time.

use chrono::{DateTime, Utc};
use contracts::appointments::AppointmentStatus;
use contracts::id::{AppointmentId, PatientId, ProviderId, SeriesId};
use db::{ConstraintKind, Db, Denied, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::appointment::{Appointment, fault};
use crate::domain::care::Seeing;
use crate::domain::history::Entry;
use crate::domain::search::Key;
use crate::domain::span::Span;
use crate::domain::status;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::care::care_tell;
use crate::store::change::change_add;
use crate::store::hold::holds_expire;
use crate::store::outside_busy::outside_check;
use crate::store::referral::referral_follow;
use crate::store::state::availability_changed;

/// An appointment as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: AppointmentId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// The data.
    pub appointment: Appointment,
    /// Whether the patient denies it to whoever asked for a list.
    pub denied: Denied,
}

/// An appointment as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    patient_id: String,
    provider_id: String,
    starts_at: DateTime<Utc>,
    /// Where it stands, as [`tag`] has it. Of a list alone.
    #[sqlx(default)]
    status: Vec<u8>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "appointment", column: "body", row: id }
}

async fn seal(db: &Db, id: &AppointmentId, appointment: &Appointment) -> Result<Vec<u8>, db::Error> {
    let patient = Subject::Patient(appointment.patient.as_str());
    db.vault().seal_json(&patient, place(id.as_str()), appointment).await
}

impl Sealed {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId::trusted(self.patient_id.clone())
    }

    /// Which.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// With whom.
    pub fn provider(&self) -> &str {
        &self.provider_id
    }

    /// Its place in a list.
    pub fn key(&self) -> Key {
        (self.starts_at, self.id.clone())
    }

    /// Where it stands, as a hash.
    pub(super) fn status(&self) -> &[u8] {
        &self.status
    }

    /// Whether it stands there, by what stands beside the body.
    pub fn stands(&self, db: &Db, status: AppointmentStatus) -> Result<bool, db::Error> {
        Ok(tag(db, &self.id, status)? == self.status)
    }

    /// The appointment, one among others. `None`: the patient was erased after the row was read, or it cannot be opened.
    pub async fn open_among(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        self.open_wanted(db, Want::Openable).await
    }

    /// The same, if that is what is wanted.
    pub(super) async fn open_wanted(self, db: &Db, want: Want) -> Result<Option<Kept>, db::Error> {
        let id = self.id.clone();
        want.take("appointment", &id, self.open(db).await)
    }

    /// The appointment. `None`: the patient was erased after the row was read.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let subject = Subject::Patient(&self.patient_id);
        match db.vault().open_json(&subject, place(&self.id), &self.body).await {
            Ok(appointment) => Ok(Some(Kept {
                id: AppointmentId::trusted(self.id),
                version: self.version,
                starts_at: self.starts_at,
                appointment,
                denied: self.denied,
            })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An appointment's status as a keyed hash of its own: there are eight, and whoever could tell equal ones would count them.
pub(super) fn tag(db: &Db, appointment: &str, status: AppointmentStatus) -> Result<Vec<u8>, db::Error> {
    db.vault().blind_in_row("status", appointment, status::name(status))
}

/// Takes the locks that writing an appointment needs: of its provider and its patient. First in the transaction.
pub async fn appointment_lock(tx: &mut Tx, appointment: &Appointment) -> Result<(), db::Error> {
    let provider = provider_lock(&appointment.plan.provider);
    tx.lock(&[&provider, &format!("patient:{}", appointment.patient)]).await
}

/// The name of a provider's lock.
pub fn provider_lock(provider: &ProviderId) -> String {
    format!("provider:{provider}")
}

/// Books an appointment, under its locks. [`Error::Taken`] if the id was ever used, [`Error::Overlap`] if provider or patient have
/// another at that time, [`Error::Invalid`] if either of them is gone by now.
pub async fn appointment_insert(
    tx: &mut Tx,
    db: &Db,
    id: &AppointmentId,
    appointment: &Appointment,
    span: Span,
    by: &str,
) -> Result<(), Error> {
    if db::erasure_is_requested(tx, appointment.patient.as_str()).await? {
        return Err(no_patient());
    }
    provider_check(tx, &appointment.plan.provider).await?;
    outside_check(tx, &appointment.plan.provider, span).await?;
    holds_expire(tx, &appointment.plan.provider).await?;
    let (now, status) = (tx.now(), tag(db, id.as_str(), appointment.status)?);
    let busy = appointment.buffers.instants(span);
    let body = match seal(db, id, appointment).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(no_patient()),
        sealed => sealed?,
    };
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into appointment \
             (id, version, patient_id, provider_id, starts_at, ends_at, active, status, created_at, updated_at, care_told, body, \
              busy_from, busy_until, in_conflict, series_id) \
         values ($1, 1, $2, $3, $4, $5, $6, $7, $8, $8, 1, $9, $10, $11, $12, $13) on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(appointment.patient.as_str())
    .bind(appointment.plan.provider.as_str())
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(appointment.is_active())
    .bind(&status)
    .bind(now)
    .bind(&body)
    .bind(busy.map(|busy| busy.0))
    .bind(busy.map(|busy| busy.1))
    .bind(appointment.conflict.is_some())
    .bind(appointment.series.as_ref().map(SeriesId::as_str))
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(overlap)?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    availability_changed(tx, &appointment.plan.provider).await?;
    care_tell(tx, db, vec![seeing(id, 1, appointment, span).notice()]).await?;
    let entry = Entry::of(by, id, None, appointment);
    Ok(change_add(tx, db, id, &appointment.patient, 1, &entry).await?)
}

/// The appointment, if there is one.
pub async fn appointment_find(tx: &mut Tx, id: &AppointmentId) -> Result<Option<Sealed>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// Replaces an appointment's data, under its locks, and remembers who did. [`Error::Changed`] if it is not the one that was read any more,
/// [`Error::Overlap`] if provider or patient have another at that time.
pub async fn appointment_update(
    tx: &mut Tx,
    db: &Db,
    before: &Kept,
    after: &Appointment,
    by: &str,
) -> Result<(), Error> {
    let entry = Entry::of(by, &before.id, Some(&before.appointment), after);
    appointment_write(tx, db, before, after, &entry).await
}

/// The same, remembered as said.
pub async fn appointment_write(
    tx: &mut Tx,
    db: &Db,
    before: &Kept,
    after: &Appointment,
    entry: &Entry,
) -> Result<(), Error> {
    let (now, span, status) = (tx.now(), after.span()?, tag(db, before.id.as_str(), after.status)?);
    let busy = after.buffers.instants(span);
    if before.appointment.plan != after.plan {
        provider_check(tx, &after.plan.provider).await?;
        if after.is_active() {
            outside_check(tx, &after.plan.provider, span).await?;
        }
        holds_expire(tx, &after.plan.provider).await?;
    }
    let body = match seal(db, &before.id, after).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(Error::NotFound),
        sealed => sealed?,
    };
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update appointment set version = version + 1, updated_at = $3, provider_id = $4, starts_at = $5, ends_at = $6, \
             active = $7, status = $8, care_told = version + 1, body = $9, \
             busy_from = $10, busy_until = $11, in_conflict = $12 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(before.id.as_str())
    .bind(before.version)
    .bind(now)
    .bind(after.plan.provider.as_str())
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(after.is_active())
    .bind(&status)
    .bind(&body)
    .bind(busy.map(|busy| busy.0))
    .bind(busy.map(|busy| busy.1))
    .bind(after.conflict.is_some())
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(overlap)?;
    if updated == 0 {
        return Err(Error::Changed);
    }
    free_or_take(tx, &before.appointment, after).await?;
    let version = before.version + 1;
    care_tell(tx, db, vec![seeing(&before.id, version, after, span).notice()]).await?;
    change_add(tx, db, &before.id, &after.patient, version, entry).await?;
    if before.appointment.status != after.status {
        referral_follow(tx, db, &before.id, after.status, &entry.by).await?;
    }
    Ok(())
}

/// Counts what a change frees or takes: of both providers, in one order, so that two who change places do not wait for each other.
async fn free_or_take(tx: &mut Tx, before: &Appointment, after: &Appointment) -> Result<(), db::Error> {
    if before.plan == after.plan && before.is_active() == after.is_active() {
        return Ok(());
    }
    let mut providers = vec![&before.plan.provider, &after.plan.provider];
    providers.sort_unstable();
    providers.dedup();
    for provider in providers {
        availability_changed(tx, provider).await?;
    }
    Ok(())
}

fn seeing(id: &AppointmentId, version: i64, appointment: &Appointment, span: Span) -> Seeing {
    Seeing {
        id: id.clone(),
        version,
        patient: appointment.patient.clone(),
        provider: appointment.plan.provider.clone(),
        ends_at: span.ends_at,
        is_active: appointment.is_active(),
    }
}

pub(super) async fn provider_check(tx: &mut Tx, provider: &ProviderId) -> Result<(), Error> {
    let removed: i64 =
        on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from removed_provider where id = $1"))
            .bind(provider.as_str())
            .fetch_one(conn)
            .await)
        .map_err(db::Error::from)?;
    if removed == 0 { Ok(()) } else { Err(fault("providerId", "must be the id of a provider").into()) }
}

pub(super) fn no_patient() -> Error {
    fault("patientId", "must be the id of a patient").into()
}

pub(super) fn overlap(error: sqlx::Error) -> Error {
    match db::Error::from(error) {
        db::Error::Constraint { kind: ConstraintKind::Exclusion | ConstraintKind::Trigger, .. } => {
            Error::Overlap(Box::default())
        }
        error => Error::Db(error),
    }
}
