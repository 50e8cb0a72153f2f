//! The `told_user` table: users as they were told of last, for the devices that are theirs.

use chrono::TimeDelta;
use contracts::event::UserNotice;
use contracts::id::{PatientId, ProviderId};
use db::{Tx, on, sql};

/// So long who may not sign in any more is known to be so, days: what was told of them before may come late, but no later than an event is known that was
/// taken in.
const KEEP_DAYS: i64 = 45;

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether they may sign in.
    pub is_active: bool,
    /// The provider they are.
    pub provider: Option<ProviderId>,
}

/// The lock under which a user's devices come and go.
pub fn user_lock_name(user: &str) -> String {
    format!("user:{user}")
}

/// Takes in who a user is now, under [`user_lock_name`]. Events may come in any order: the highest version counts. Whoever may not sign in any more has no
/// devices; who is another provider now, or none, is told of that one's appointments no more by theirs.
pub async fn user_take(tx: &mut Tx, notice: &UserNotice) -> Result<(), db::Error> {
    let (user, provider) = (notice.user_id.as_str(), notice.provider_id.as_ref().map(ProviderId::as_str));
    let now = tx.now();
    let taken = on!(tx, |conn| {
        sqlx::query(sql!(
            "insert into told_user (user_id, version, is_active, provider_id, ended_at) values ($1, $2, $3, $4, $5) \
             on conflict (user_id) do update set version = excluded.version, is_active = excluded.is_active, \
                 provider_id = excluded.provider_id, ended_at = excluded.ended_at where excluded.version > told_user.version"
        ))
        .bind(user)
        .bind(notice.version)
        .bind(notice.is_active)
        .bind(provider)
        .bind((!notice.is_active).then_some(now))
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
    })?;
    if taken == 0 {
        return Ok(());
    }
    if !notice.is_active {
        return devices_remove(tx, user).await;
    }
    on!(tx, |conn| sqlx::query(sql!("update device set provider_id = $2 where user_id = $1"))
        .bind(user)
        .bind(provider)
        .execute(conn)
        .await
        .map(drop))?;
    let patient = notice.patient_id.as_ref().map_or("", PatientId::as_str);
    on!(tx, |conn| sqlx::query(sql!("delete from device where account_id = $1 and patient_id <> $2"))
        .bind(user)
        .bind(patient)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

async fn devices_remove(tx: &mut Tx, user: &str) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from device where user_id = $1 or account_id = $1"))
        .bind(user)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away who may not sign in any more and has not been told of for long. A token of theirs has long ended by then.
pub async fn users_forget(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    // The version before notes no time.
    on!(tx, |conn| {
        sqlx::query(sql!("update told_user set ended_at = $1 where ended_at is null and not is_active"))
            .bind(now)
            .execute(conn)
            .await
            .map(drop)
    })?;
    on!(tx, |conn| sqlx::query(sql!("delete from told_user where ended_at < $1 and not is_active"))
        .bind(now - TimeDelta::days(KEEP_DAYS))
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// What was told of a user, if anything was.
pub async fn user_told(tx: &mut Tx, user: &str) -> Result<Option<Told>, db::Error> {
    let row: Option<(bool, Option<String>)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select is_active, provider_id from told_user where user_id = $1"
    ))
    .bind(user)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(|(is_active, provider)| Told { is_active, provider: provider.map(ProviderId::trusted) }))
}
