//! The `device` table: where push messages go.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use chrono::{DateTime, Utc};
use contracts::devices::DEVICES_MAX;
use contracts::id::{DeviceId, PatientId, ProviderId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::device::{Kept, Owner};
use crate::domain::visit::Person;
use crate::error::Error;
use crate::store::told_user::user_lock_name;

#[derive(FromRow)]
struct Row {
    id: String,
    patient_id: Option<String>,
    user_id: Option<String>,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

/// By which somebody is told of appointments.
#[derive(FromRow)]
struct Told {
    id: String,
    patient_id: Option<String>,
    provider_id: Option<String>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "device", column: "body", row: id }
}

fn subject(owner: &Owner) -> Subject<'_> {
    match owner {
        Owner::Patient(patient) => Subject::Patient(patient.as_str()),
        Owner::User(_) => Subject::Service,
    }
}

fn hash(db: &Db, address: &str) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("device", address)
}

impl Row {
    /// `None`: its patient was erased after the row was read.
    async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let Self { id, patient_id, user_id, created_at, body } = self;
        let patient = patient_id.map(|id| Owner::Patient(PatientId::trusted(id)));
        let owner = patient.unwrap_or_else(|| Owner::User(user_id.unwrap_or_default()));
        match db.vault().open_json(&subject(&owner), place(&id), &body).await {
            Ok(device) => Ok(Some(Kept { id: DeviceId::trusted(id), owner, created_at, device })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Keeps a device, under [`device_lock`]. Whoever registers it last has it: a phone is handed on, too. `provider`: whose of those it is, if its user is one;
/// `account`: by which account its patient registered it.
pub async fn device_put(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    (provider, account): (Option<&ProviderId>, Option<&str>),
) -> Result<(), Error> {
    let (patient, user) = match &kept.owner {
        Owner::Patient(patient) => (Some(patient.as_str()), None),
        Owner::User(user) => (None, Some(user.as_str())),
    };
    if let Some(patient) = patient
        && db::erasure_is_requested(tx, patient).await?
    {
        return Err(Error::UnknownPatient);
    }
    let body = match db.vault().seal_json(&subject(&kept.owner), place(kept.id.as_str()), &kept.device).await
    {
        Err(db::Error::KeyDestroyed { .. }) if patient.is_some() => return Err(Error::UnknownPatient),
        sealed => sealed?,
    };
    device_forget(tx, db, kept.device.address()).await?;
    let address = hash(db, kept.device.address())?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into device (id, patient_id, user_id, address, created_at, body, provider_id, account_id) values ($1, $2, $3, $4, $5, $6, $7, $8)"
    ))
    .bind(kept.id.as_str())
    .bind(patient)
    .bind(user)
    .bind(&address)
    .bind(kept.created_at)
    .bind(&body)
    .bind(provider.map(ProviderId::as_str))
    .bind(account)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// Somebody's devices, the oldest first. They are few.
pub async fn device_list(tx: &mut Tx, db: &Db, owner: &Owner) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = match owner {
        Owner::Patient(patient) => on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select id, patient_id, user_id, created_at, body from device where patient_id = $1 order by created_at, id"
        ))
        .bind(patient.as_str())
        .fetch_all(conn)
        .await
        })?,
        Owner::User(user) => on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select id, patient_id, user_id, created_at, body from device where user_id = $1 order by created_at, id"
        ))
        .bind(user)
        .fetch_all(conn)
        .await
        })?,
    };
    let mut devices = Vec::with_capacity(rows.len());
    for row in rows {
        devices.extend(row.open(db).await?);
    }
    Ok(devices)
}

/// The ids of the devices by which these people are told of appointments: of each of those who have any, the one registered last first. They are few.
pub async fn devices_of(
    tx: &mut Tx,
    people: &HashSet<Person, impl BuildHasher>,
) -> Result<HashMap<Person, Vec<String>>, db::Error> {
    let (mut patients, mut providers) = (Vec::new(), Vec::new());
    for person in people {
        match person {
            Person::Patient(id) => patients.push(id.as_str()),
            Person::Provider(id) => providers.push(id.as_str()),
        }
    }
    let (patients, providers) = (db::names(patients), db::names(providers));
    let rows: Vec<Told> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, patient_id, provider_id, created_at from device \
             where patient_id is not null and patient_id in (select key from jsonb_each($1)) \
             union all select id, patient_id, provider_id, created_at from device \
             where provider_id is not null and provider_id in (select key from jsonb_each($2)) \
             order by created_at desc, id"
        ))
        .bind(&patients)
        .bind(&providers)
        .fetch_all(conn)
        .await
    })?;
    let mut devices: HashMap<Person, Vec<String>> = HashMap::new();
    for Told { id, patient_id, provider_id } in rows {
        let patient = patient_id.map(|id| Person::Patient(PatientId::trusted(id)));
        let provider = provider_id.map(|id| Person::Provider(ProviderId::trusted(id)));
        for person in [patient, provider].into_iter().flatten().filter(|person| people.contains(person)) {
            let of_person = devices.entry(person).or_default();
            if of_person.len() < DEVICES_MAX as usize {
                of_person.push(id.clone());
            }
        }
    }
    Ok(devices)
}

/// The device with this id, or else with this token or endpoint.
pub async fn device_find(tx: &mut Tx, db: &Db, to: &str) -> Result<Option<Kept>, db::Error> {
    let address = hash(db, to)?;
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, patient_id, user_id, created_at, body from device where id = $1 or address = $2"
    ))
    .bind(to)
    .bind(&address)
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => row.open(db).await,
        None => Ok(None),
    }
}

/// By whose preferences somebody is written to on the device with this id, token or endpoint: `None` if it is nobody's who has any.
pub async fn device_person(tx: &mut Tx, db: &Db, to: &str) -> Result<Option<Person>, db::Error> {
    let address = hash(db, to)?;
    let row: Option<(Option<String>, Option<String>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select patient_id, provider_id from device where id = $1 or address = $2"
    ))
    .bind(to)
    .bind(&address)
    .fetch_optional(conn)
    .await)?;
    Ok(row.and_then(|(patient, provider)| {
        let patient = patient.map(|id| Person::Patient(PatientId::trusted(id)));
        patient.or_else(|| provider.map(|id| Person::Provider(ProviderId::trusted(id))))
    }))
}

/// Takes the locks under which a user registers a device: theirs, and whose it is to be, since nobody has too many; and its address, which two may register
/// at once. First in the transaction.
pub async fn device_lock(
    tx: &mut Tx,
    db: &Db,
    (user, owner): (&str, &Owner),
    address: &str,
) -> Result<(), db::Error> {
    let user = user_lock_name(user);
    let owner = owner.patient().map_or_else(|| user.clone(), |it| db::erasure_lock_name(it.as_str()));
    let hash = hash(db, address)?;
    let address = data_encoding::HEXLOWER.encode(&hash);
    tx.lock(&[&user, &owner, &format!("device:{address}")]).await
}

/// Takes a device away.
pub async fn device_delete(tx: &mut Tx, id: &DeviceId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from device where id = $1"))
        .bind(id.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away the device with this token or endpoint.
pub async fn device_forget(tx: &mut Tx, db: &Db, address: &str) -> Result<(), db::Error> {
    let hash = hash(db, address)?;
    on!(tx, |conn| sqlx::query(sql!("delete from device where address = $1"))
        .bind(&hash)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away a patient's devices, and says how many.
pub async fn devices_erase(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from device where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
