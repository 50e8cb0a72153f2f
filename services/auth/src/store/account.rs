//! The `account` table.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId, UserId};
use contracts::target::TargetKind;
use contracts::trail;
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::page::{Newest, Window};
use sqlx::FromRow;

use crate::domain::user::Account;
use crate::domain::username::Username;
use crate::error::Error;
use crate::store::outside_identity::outside_identity_delete;
use crate::store::role::{roles_give, roles_of, roles_of_page};
use crate::store::second_factor::second_factor_delete;

/// An account as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The user's id.
    pub id: UserId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub account: Account,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "account", column: "body", row: id }
}

async fn seal(db: &Db, id: &UserId, account: &Account) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(&Subject::Service, place(id.as_str()), account).await
}

/// The account with the roles that were made here, which are kept apart.
async fn whole(tx: &mut Tx, db: &Db, row: Row) -> Result<Kept, db::Error> {
    let mut kept = opened(db, row).await?;
    kept.account.user.made = roles_of(tx, &kept.id).await?;
    Ok(kept)
}

async fn opened(db: &Db, row: Row) -> Result<Kept, db::Error> {
    let account: Account = db.vault().open_json(&Subject::Service, place(&row.id), &row.body).await?;
    Ok(Kept { id: UserId::trusted(row.id), version: row.version, created_at: row.created_at, account })
}

fn name_index(db: &Db, name: &Username) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("username", name.as_str())
}

/// Creates an account. [`Error::Taken`] if the name was ever used.
pub async fn account_insert(tx: &mut Tx, db: &Db, id: &UserId, account: &Account) -> Result<(), Error> {
    trail::touches(TargetKind::User, id.as_str());
    let (now, user) = (tx.now(), &account.user);
    let name_index = name_index(db, &user.username)?;
    let body = seal(db, id, account).await?;
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into account \
         (id, name_index, version, created_at, updated_at, is_active_admin, patient_id, provider_id, body) \
         values ($1, $2, 1, $3, $3, $4, $5, $6, $7) on conflict (name_index) do nothing"
    ))
    .bind(id.as_str())
    .bind(&name_index)
    .bind(now)
    .bind(user.is_active_admin())
    .bind(user.patient_id.as_ref().map(PatientId::as_str))
    .bind(user.provider_id.as_ref().map(ProviderId::as_str))
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    Ok(roles_give(tx, id, user.made.keys()).await?)
}

/// Whether there is or ever was an account.
pub async fn account_any(tx: &mut Tx) -> Result<bool, db::Error> {
    let found: Option<String> = on!(tx, |conn| sqlx::query_scalar(sql!("select id from account limit 1"))
        .fetch_optional(conn)
        .await)?;
    Ok(found.is_some())
}

/// The account with this id.
pub async fn account_find(tx: &mut Tx, db: &Db, id: &UserId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from account where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => whole(tx, db, row).await.map(Some),
        None => Ok(None),
    }
}

/// The account with this name.
pub async fn account_by_name(tx: &mut Tx, db: &Db, name: &Username) -> Result<Option<Kept>, db::Error> {
    let name_index = name_index(db, name)?;
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from account where name_index = $1 and deleted_at is null"
    ))
    .bind(&name_index)
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => whole(tx, db, row).await.map(Some),
        None => Ok(None),
    }
}

/// A stretch of the list, newest first.
pub async fn account_list(
    tx: &mut Tx,
    db: &Db,
    window: &Window<Newest>,
) -> Result<Vec<(Newest, Kept)>, db::Error> {
    let (created_at, id) = window.below();
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from account \
         where deleted_at is null and (created_at, id) < ($1, $2) order by created_at desc, id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(window.rows())
    .fetch_all(conn)
    .await)?;
    let Some(last) = rows.last().map(|row| (row.created_at, row.id.clone())) else { return Ok(Vec::new()) };
    let mut made = roles_of_page(tx, window, &last).await?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.created_at, row.id.clone());
        let mut account = opened(db, row).await?;
        account.account.user.made = made.remove(account.id.as_str()).unwrap_or_default();
        kept.push((key, account));
    }
    Ok(kept)
}

/// The accounts of this patient.
pub async fn accounts_of_patient(tx: &mut Tx, id: &PatientId) -> Result<Vec<UserId>, db::Error> {
    let ids: Vec<String> =
        on!(tx, |conn| sqlx::query_scalar(sql!("select id from account where patient_id = $1 order by id"))
            .bind(id.as_str())
            .fetch_all(conn)
            .await)?;
    Ok(ids.into_iter().map(UserId::trusted).collect())
}

/// The accounts of this provider.
pub async fn accounts_of_provider(tx: &mut Tx, id: &ProviderId) -> Result<Vec<UserId>, db::Error> {
    let ids: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select id from account where provider_id = $1 order by id"
    ))
    .bind(id.as_str())
    .fetch_all(conn)
    .await)?;
    Ok(ids.into_iter().map(UserId::trusted).collect())
}

/// Whether somebody else is an active administrator, by a password: whom an identity provider makes one today it may not tomorrow. Holds until
/// the commit under the lock [`ADMINS`] only.
pub async fn account_other_admin(tx: &mut Tx, id: &UserId) -> Result<bool, db::Error> {
    let other: Option<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select id from account where is_active_admin and id <> $1 \
         and not exists (select 1 from outside_identity where account_id = account.id) limit 1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    Ok(other.is_some())
}

/// The lock ([`Tx::lock`]) under which administrators come and go.
pub const ADMINS: &str = "admins";

/// Replaces an account's data, if `version` is still the present one; tells whether it was.
pub async fn account_update(
    tx: &mut Tx,
    db: &Db,
    id: &UserId,
    version: i64,
    account: &Account,
) -> Result<bool, db::Error> {
    trail::touches(TargetKind::User, id.as_str());
    let (now, user, body) = (tx.now(), &account.user, seal(db, id, account).await?);
    let updated = on!(tx, |conn| {
        sqlx::query(sql!(
        "update account set version = version + 1, updated_at = $3, is_active_admin = $4, patient_id = $5, \
         provider_id = $6, body = $7 where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(user.is_active_admin())
    .bind(user.patient_id.as_ref().map(PatientId::as_str))
    .bind(user.provider_id.as_ref().map(ProviderId::as_str))
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if updated == 1 {
        roles_give(tx, id, user.made.keys()).await?;
    }
    Ok(updated == 1)
}

/// Replaces the hash of a password that stays the same, if `version` is still the present one; tells whether it was. It stays so: nobody
/// sees a difference.
pub async fn account_rehash(
    tx: &mut Tx,
    db: &Db,
    id: &UserId,
    version: i64,
    account: &Account,
) -> Result<bool, db::Error> {
    let body = seal(db, id, account).await?;
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update account set body = $3 where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}

/// Notes a login, if `version` is still the present one; tells whether it was. Holds the row until the commit: whoever disables the
/// account meanwhile sees the session that is being made.
pub async fn account_signed_in(tx: &mut Tx, id: &UserId, version: i64) -> Result<bool, db::Error> {
    let now = tx.now();
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update account set signed_in_at = $3 where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}

/// Counts a change of what is kept beside an account, if `version` is still the present one; tells whether it was. Holds the row until the
/// commit: a login that is under way looks again.
pub async fn account_touch(tx: &mut Tx, id: &UserId, version: i64) -> Result<bool, db::Error> {
    trail::touches(TargetKind::User, id.as_str());
    let now = tx.now();
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update account set version = version + 1, updated_at = $3 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}

/// Takes an account's data away, if `version` is still the present one; id and name stay taken.
pub async fn account_delete(tx: &mut Tx, id: &UserId, version: i64) -> Result<bool, db::Error> {
    trail::touches(TargetKind::User, id.as_str());
    let now = tx.now();
    let deleted = on!(tx, |conn| {
        sqlx::query(sql!(
        "update account set version = version + 1, updated_at = $3, deleted_at = $3, is_active_admin = $4, \
         patient_id = null, provider_id = null, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(false)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    roles_give(tx, id, []).await?;
    outside_identity_delete(tx, id).await?;
    second_factor_delete(tx, id).await?;
    Ok(deleted == 1)
}
