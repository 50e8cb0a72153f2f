//! The tables `role` and `role_holder`: the roles that a clinic made for itself, and who has them.

use std::collections::{BTreeMap, BTreeSet};

use contracts::id::UserId;
use contracts::permission::Permissions;
use contracts::role_name::RoleName;
use contracts::target::TargetKind;
use contracts::trail;
use db::{Tx, on, sql};
use http_kit::page::{Newest, Window};
use sqlx::FromRow;

use crate::error::Error;

/// The lock ([`Tx::lock`]) under which roles are made, changed, given and taken.
pub const ROLES: &str = "roles";
/// A clinic may make so many.
pub const ROLES_MAX: usize = 100;

/// A role as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: RoleName,
    /// Counts changes, from 1.
    pub version: i64,
    /// What it may do.
    pub permissions: Permissions,
}

#[derive(FromRow)]
struct Row {
    name: String,
    version: i64,
    scope: String,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        let permissions = Permissions::from_scope(&row.scope);
        Self { name: RoleName::trusted(row.name), version: row.version, permissions }
    }
}

/// Makes a role. [`Error::RoleTaken`] if the name was ever used.
pub async fn role_insert(tx: &mut Tx, name: &RoleName, permissions: Permissions) -> Result<(), Error> {
    trail::touches(TargetKind::Role, name.as_str());
    let now = tx.now();
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into role (name, version, created_at, updated_at, scope) values ($1, 1, $2, $2, $3) \
         on conflict (name) do nothing"
    ))
    .bind(name.as_str())
    .bind(now)
    .bind(permissions.to_scope())
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 1 { Ok(()) } else { Err(Error::RoleTaken) }
}

/// The role of this name.
pub async fn role_find(tx: &mut Tx, name: &RoleName) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select name, version, scope from role where name = $1 and deleted_at is null"
    ))
    .bind(name.as_str())
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(Kept::from))
}

/// All of them, by name: [`ROLES_MAX`] at most.
pub async fn role_list(tx: &mut Tx) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select name, version, scope from role where deleted_at is null order by name"
    ))
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(Kept::from).collect())
}

/// Changes what a role may do, if `version` is still the present one; tells whether it was.
pub async fn role_update(
    tx: &mut Tx,
    name: &RoleName,
    version: i64,
    permissions: Permissions,
) -> Result<bool, db::Error> {
    trail::touches(TargetKind::Role, name.as_str());
    let now = tx.now();
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update role set version = version + 1, updated_at = $3, scope = $4 \
         where name = $1 and version = $2 and deleted_at is null"
    ))
    .bind(name.as_str())
    .bind(version)
    .bind(now)
    .bind(permissions.to_scope())
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}

/// Takes a role away, if `version` is still the present one, from whoever has it too; the name stays taken.
pub async fn role_delete(tx: &mut Tx, name: &RoleName, version: i64) -> Result<bool, db::Error> {
    trail::touches(TargetKind::Role, name.as_str());
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update role set version = version + 1, updated_at = $3, deleted_at = $3 \
         where name = $1 and version = $2 and deleted_at is null"
    ))
    .bind(name.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    on!(tx, |conn| sqlx::query(sql!("delete from role_holder where role = $1"))
        .bind(name.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(deleted == 1)
}

/// Whoever has a role. Their accounts are held until the commit, and count a change: a login that is under way looks again.
pub async fn holders_touch(tx: &mut Tx, name: &RoleName) -> Result<Vec<UserId>, db::Error> {
    let now = tx.now();
    let ids: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select account_id from role_holder where role = $1 order by account_id"
    ))
    .bind(name.as_str())
    .fetch_all(conn)
    .await)?;
    for id in &ids {
        trail::touches(TargetKind::User, id);
        on!(tx, |conn| sqlx::query(sql!(
            "update account set version = version + 1, updated_at = $2 where id = $1"
        ))
        .bind(id)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    }
    Ok(ids.into_iter().map(UserId::trusted).collect())
}

/// The roles of an account, each with what it may do.
pub async fn roles_of(tx: &mut Tx, account: &UserId) -> Result<BTreeMap<RoleName, Permissions>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select r.name, r.version, r.scope from role_holder h join role r on r.name = h.role \
         where h.account_id = $1 and r.deleted_at is null"
    ))
    .bind(account.as_str())
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(Kept::from).map(|kept| (kept.name, kept.permissions)).collect())
}

/// The roles of the accounts on a page that ends with `last`, by account.
pub async fn roles_of_page(
    tx: &mut Tx,
    window: &Window<Newest>,
    last: &Newest,
) -> Result<BTreeMap<String, BTreeMap<RoleName, Permissions>>, db::Error> {
    let (created_at, id) = window.below();
    let rows: Vec<(String, String, String)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select h.account_id, r.name, r.scope from role_holder h join role r on r.name = h.role \
         join account a on a.id = h.account_id \
         where a.deleted_at is null and (a.created_at, a.id) < ($1, $2) and (a.created_at, a.id) >= ($3, $4)"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(last.0)
    .bind(&last.1)
    .fetch_all(conn)
    .await)?;
    let mut roles: BTreeMap<String, BTreeMap<RoleName, Permissions>> = BTreeMap::new();
    for (account, name, scope) in rows {
        let of = roles.entry(account).or_default();
        of.insert(RoleName::trusted(name), Permissions::from_scope(&scope));
    }
    Ok(roles)
}

/// Gives an account these roles and no others.
pub async fn roles_give(
    tx: &mut Tx,
    account: &UserId,
    roles: impl IntoIterator<Item = &RoleName>,
) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from role_holder where account_id = $1"))
        .bind(account.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    for role in roles.into_iter().collect::<BTreeSet<_>>() {
        on!(tx, |conn| sqlx::query(sql!("insert into role_holder (account_id, role) values ($1, $2)"))
            .bind(account.as_str())
            .bind(role.as_str())
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(())
}
