//! The `credential` table, and `credential_change`: what was done with each.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::credentials::{
    CREDENTIALS_MAX, CredentialChange, CredentialKind, HISTORY_SHOWN_MAX, NotBookable,
};
use contracts::id::{CredentialId, ProviderId};
use db::{ConstraintKind, Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::credential::{Credential, Entry, State};
use crate::error::Error;

/// A credential as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: CredentialId,
    /// Whose.
    pub provider: ProviderId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When the registry was asked first, while it is to answer.
    pub asked_since: Option<DateTime<Utc>>,
    /// The data.
    pub credential: Credential,
}

#[derive(FromRow)]
struct Row {
    id: String,
    provider_id: String,
    version: i64,
    asked_since: Option<DateTime<Utc>>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "credential", column: "body", row: id }
}

async fn opened(db: &Db, row: Row) -> Result<Kept, db::Error> {
    let credential = db.vault().open_json(&Subject::Service, place(&row.id), &row.body).await?;
    Ok(Kept {
        id: CredentialId::trusted(row.id),
        provider: ProviderId::trusted(row.provider_id),
        version: row.version,
        asked_since: row.asked_since,
        credential,
    })
}

fn npi(db: &Db, credential: &Credential) -> Result<Option<Vec<u8>>, db::Error> {
    let is_npi = credential.kind == CredentialKind::Npi;
    is_npi.then(|| db.vault().blind("npi", &credential.number)).transpose()
}

/// Takes the lock under which a provider's credentials change. First in the transaction.
pub async fn credentials_lock(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    tx.lock(&[&format!("credentials:{provider}")]).await
}

/// Records a credential, under [`credentials_lock`]. [`Error::Credentials`] if there are too many, [`Error::NpiTaken`] if the provider has an NPI or another has
/// this one.
pub async fn credential_insert(tx: &mut Tx, db: &Db, kept: &Kept, entry: &Entry) -> Result<(), Error> {
    let Kept { id, provider, credential, .. } = kept;
    let others = credentials_of(tx, db, provider).await?;
    if others.len() >= CREDENTIALS_MAX as usize {
        return Err(Error::Credentials);
    }
    let is_npi = |credential: &Credential| credential.kind == CredentialKind::Npi;
    if is_npi(credential) && others.iter().any(|other| is_npi(&other.credential)) {
        return Err(Error::NpiTaken);
    }
    let (now, npi) = (tx.now(), npi(db, credential)?);
    let body = db.vault().seal_json(&Subject::Service, place(id.as_str()), credential).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into credential (id, provider_id, version, created_at, updated_at, npi, expires_on, body) \
         values ($1, $2, 1, $3, $3, $4, $5, $6)"
    ))
    .bind(id.as_str())
    .bind(provider.as_str())
    .bind(now)
    .bind(npi)
    .bind(credential.expires_on)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(npi_taken)?;
    Ok(change_add(tx, db, id, 1, entry).await?)
}

/// Keeps what came of something that was done. [`db::Error::LostRace`] if it changed since it was read. `ask_at`: when the registry is to be asked again.
pub async fn credential_update(
    tx: &mut Tx,
    db: &Db,
    (before, after): (&Kept, &Credential),
    ask_at: Option<DateTime<Utc>>,
    entry: &Entry,
) -> Result<(), Error> {
    let (now, npi, version) = (tx.now(), npi(db, after)?, before.version + 1);
    let revoked_at = (after.stands == State::Revoked).then_some(now);
    let asked_since = ask_at.map(|_| before.asked_since.unwrap_or(now));
    let is_renewed = after.expires_on != before.credential.expires_on;
    let body = db.vault().seal_json(&Subject::Service, place(before.id.as_str()), after).await?;
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update credential set version = $3, updated_at = $4, npi = $5, expires_on = $6, revoked_at = $7, ask_at = $8, \
             asked_since = $9, told_days = case when $10 then null else told_days end, body = $11 \
         where id = $1 and version = $2"
    ))
    .bind(before.id.as_str())
    .bind(before.version)
    .bind(version)
    .bind(now)
    .bind(npi)
    .bind(after.expires_on)
    .bind(revoked_at)
    .bind(ask_at)
    .bind(asked_since)
    .bind(is_renewed)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(npi_taken)?;
    if updated == 0 {
        return Err(Error::Db(db::Error::LostRace));
    }
    Ok(change_add(tx, db, &before.id, version, entry).await?)
}

fn npi_taken(error: sqlx::Error) -> Error {
    match db::Error::from(error) {
        db::Error::Constraint { kind: ConstraintKind::Unique, .. } => Error::NpiTaken,
        error => Error::Db(error),
    }
}

/// A provider's credential, if they have such a one.
pub async fn credential_find(
    tx: &mut Tx,
    db: &Db,
    (provider, id): (&ProviderId, &CredentialId),
) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, provider_id, version, asked_since, body from credential where id = $1 and provider_id = $2"
    ))
    .bind(id.as_str())
    .bind(provider.as_str())
    .fetch_optional(conn)
    .await
    })?;
    match row {
        Some(row) => opened(db, row).await.map(Some),
        None => Ok(None),
    }
}

/// All of a provider's, oldest first.
pub async fn credentials_of(tx: &mut Tx, db: &Db, provider: &ProviderId) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, provider_id, version, asked_since, body from credential where provider_id = $1 order by created_at, id"
    ))
    .bind(provider.as_str())
    .fetch_all(conn)
    .await
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.push(opened(db, row).await?);
    }
    Ok(kept)
}

/// Deletes a credential and its history, if `version` is still the present one; tells whether it was.
pub async fn credential_delete(tx: &mut Tx, id: &CredentialId, version: i64) -> Result<bool, db::Error> {
    let deleted = on!(tx, |conn| sqlx::query(sql!("delete from credential where id = $1 and version = $2"))
        .bind(id.as_str())
        .bind(version)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(deleted == 1)
}

/// Deletes all of a provider who is removed, under [`credentials_lock`].
pub async fn credentials_delete(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from credential where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Why a provider cannot be booked on a day, as far as their credentials say so. Nothing is opened for it: it is asked with each booking.
pub async fn credentials_stop(
    tx: &mut Tx,
    provider: &ProviderId,
    today: NaiveDate,
) -> Result<Option<NotBookable>, db::Error> {
    let (revoked, expired): (i64, i64) = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select count(revoked_at), cast(coalesce(sum(case when expires_on < $2 then 1 else 0 end), 0) as bigint) \
             from credential where provider_id = $1"
        ))
        .bind(provider.as_str())
        .bind(today)
        .fetch_one(conn)
        .await
    })?;
    Ok(match (revoked, expired) {
        (0, 0) => None,
        (0, _) => Some(NotBookable::CredentialExpired),
        _ => Some(NotBookable::CredentialRevoked),
    })
}

fn row_name(id: &CredentialId, version: i64) -> String {
    format!("{id}:{version}")
}

fn place_of_change(row: &str) -> Place<'_> {
    Place { table: "credential_change", column: "body", row }
}

async fn change_add(
    tx: &mut Tx,
    db: &Db,
    id: &CredentialId,
    version: i64,
    entry: &Entry,
) -> Result<(), db::Error> {
    let (now, row) = (tx.now(), row_name(id, version));
    let body = db.vault().seal_json(&Subject::Service, place_of_change(&row), entry).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into credential_change (credential_id, version, changed_at, body) values ($1, $2, $3, $4)"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// What was done with a credential, newest first.
pub async fn credential_changes(
    tx: &mut Tx,
    db: &Db,
    id: &CredentialId,
) -> Result<Vec<CredentialChange>, db::Error> {
    let rows: Vec<(i64, DateTime<Utc>, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select version, changed_at, body from credential_change where credential_id = $1 order by version desc limit $2"
    ))
    .bind(id.as_str())
    .bind(i64::from(HISTORY_SHOWN_MAX))
    .fetch_all(conn)
    .await
    })?;
    let mut changes = Vec::with_capacity(rows.len());
    for (version, at, body) in rows {
        let row = row_name(id, version);
        let entry: Entry = db.vault().open_json(&Subject::Service, place_of_change(&row), &body).await?;
        changes.push(entry.view(version, at));
    }
    Ok(changes)
}

/// Takes one that the registry is to be asked about now, and puts the next time off: nobody else takes it until then.
pub async fn credential_to_ask(tx: &mut Tx, db: &Db, next: DateTime<Utc>) -> Result<Option<Kept>, db::Error> {
    let now = tx.now();
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "update credential set ask_at = $2 where ask_at <= $1 and id = ( \
             select id from credential where ask_at <= $1 order by ask_at, id limit 1) \
         returning id, provider_id, version, asked_since, body"
    ))
    .bind(now)
    .bind(next)
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => opened(db, row).await.map(Some),
        None => Ok(None),
    }
}
