//! The `preference` table, and `known_address`: under which addresses patients with preferences are known.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use contracts::id::PatientId;
use db::{Db, Place, Subject, Tx, on, sql};

use crate::domain::notification::addressee;
use crate::domain::preference::Preference;
use crate::domain::visit::Person;
use crate::error::Error;

/// So many share an address at most, as far as is looked: a family, or a home.
const SHARING_MAX: i64 = 50;

fn place(person: &str) -> Place<'_> {
    Place { table: "preference", column: "body", row: person }
}

fn subject(person: &Person) -> Subject<'_> {
    match person {
        Person::Patient(id) => Subject::Patient(id.as_str()),
        Person::Provider(_) => Subject::Service,
    }
}

/// Somebody's preferences with their version; `None` if they have none.
pub async fn preference_find(
    tx: &mut Tx,
    db: &Db,
    person: &Person,
) -> Result<Option<(i64, Preference)>, db::Error> {
    let name = person.name();
    let row: Option<(i64, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!("select version, body from preference where person = $1"))
            .bind(&name)
            .fetch_optional(conn)
            .await
    })?;
    let Some((version, body)) = row else { return Ok(None) };
    match db.vault().open_json(&subject(person), place(&name), &body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => Ok(Some((version, opened?))),
    }
}

/// The preferences of these people, of those who have any. `None`: they cannot be opened, and what somebody wishes who has wishes is not known.
pub async fn preferences_of(
    tx: &mut Tx,
    db: &Db,
    people: &HashSet<Person, impl BuildHasher>,
) -> Result<HashMap<Person, Option<Preference>>, db::Error> {
    let by_name: HashMap<String, &Person> = people.iter().map(|person| (person.name(), person)).collect();
    let names = db::names(by_name.keys().map(String::as_str));
    let rows: Vec<(String, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select person, body from preference where person in (select key from jsonb_each($1))"
        ))
        .bind(&names)
        .fetch_all(conn)
        .await
    })?;
    let found = || rows.iter().filter_map(|(name, body)| Some((*by_name.get(name)?, name, body)));
    db.vault().fetch(&found().map(|(person, ..)| subject(person)).collect::<Vec<_>>()).await?;
    let mut preferences = HashMap::with_capacity(rows.len());
    for (person, name, body) in found() {
        match db.vault().open_json(&subject(person), place(name), body).await {
            Err(db::Error::KeyDestroyed { .. }) => {}
            Err(error) if error.is_of_the_row() => {
                tracing::error!(%error, "somebody's preferences cannot be opened");
                preferences.insert(person.clone(), None);
            }
            opened => drop(preferences.insert(person.clone(), Some(opened?))),
        }
    }
    Ok(preferences)
}

/// Keeps somebody's preferences, if `version` is still the present one (0: there are none); a patient's under [`db::erasure_lock`].
/// [`Error::NotFound`] if they were erased.
pub async fn preference_put(
    tx: &mut Tx,
    db: &Db,
    person: &Person,
    version: i64,
    preference: &Preference,
) -> Result<(), Error> {
    if let Person::Patient(patient) = person
        && db::erasure_is_requested(tx, patient.as_str()).await?
    {
        return Err(Error::NotFound);
    }
    let (name, now) = (person.name(), tx.now());
    let body = match db.vault().seal_json(&subject(person), place(&name), preference).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(Error::NotFound),
        sealed => sealed?,
    };
    let put = on!(tx, |conn| sqlx::query(sql!(
        "insert into preference (person, version, updated_at, body) values ($1, $2, $3, $4) \
         on conflict (person) do update set version = excluded.version, updated_at = excluded.updated_at, body = excluded.body \
         where preference.version = excluded.version - 1"
    ))
    .bind(&name)
    .bind(version + 1)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if put == 0 { Err(Error::Db(db::Error::LostRace)) } else { Ok(()) }
}

/// Remembers where a patient with preferences is reached, in place of what was remembered before.
pub async fn known_address_put(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    addresses: &[String],
) -> Result<(), db::Error> {
    known_address_erase(tx, patient).await?;
    for address in addresses {
        known_address_add(tx, db, patient, address).await?;
    }
    Ok(())
}

/// Remembers that a patient with preferences is reached at this address, too.
pub async fn known_address_add(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    address: &str,
) -> Result<(), db::Error> {
    let hash = db.vault().blind("to", &addressee(address))?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into known_address (addressee, patient_id) values ($1, $2) on conflict do nothing"
    ))
    .bind(&hash)
    .bind(patient.as_str())
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Who, of those who have preferences, is reached at an address.
pub async fn known_at(tx: &mut Tx, db: &Db, address: &str) -> Result<Vec<PatientId>, db::Error> {
    let hash = db.vault().blind("to", &addressee(address))?;
    let known: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select patient_id from known_address where addressee = $1 order by patient_id limit $2"
    ))
    .bind(&hash)
    .bind(SHARING_MAX)
    .fetch_all(conn)
    .await)?;
    Ok(known.into_iter().map(PatientId::trusted).collect())
}

/// Takes away what a patient wishes, and where they are reached; how many preferences that were.
pub async fn preference_erase(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    known_address_erase(tx, patient).await?;
    let name = Person::Patient(patient.clone()).name();
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from preference where person = $1"))
        .bind(&name)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}

async fn known_address_erase(tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from known_address where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
