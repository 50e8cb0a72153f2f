//! The `revocation` table: numbered in the order of commits.

use chrono::{DateTime, Utc};
use contracts::auth::{Revocation, Revocations};
use contracts::target::TargetKind;
use contracts::trail;
use db::{Tx, on, sql};

/// One answer holds so many.
const ITEMS_MAX: i64 = 1_000;

/// A session that ended while a token of its may still be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The session.
    pub session: String,
    /// When its last token expires.
    pub tokens_expire_at: DateTime<Utc>,
}

impl From<(String, DateTime<Utc>)> for Ended {
    fn from((session, tokens_expire_at): (String, DateTime<Utc>)) -> Self {
        Self { session, tokens_expire_at }
    }
}

impl Ended {
    /// As the others are told. A session never comes back, so every token of its is meant, whatever the clock that it was issued by.
    pub fn revocation(&self) -> Revocation {
        let expires_at = self.tokens_expire_at.timestamp();
        Revocation {
            session: Some(self.session.clone()),
            user: None,
            issued_before: expires_at.saturating_mul(1000),
            expires_at,
        }
    }
}

/// Revokes the tokens of sessions that ended; once each. The last thing that a transaction does: from here to the commit every other
/// revocation waits.
pub async fn revocation_insert(tx: &mut Tx, ended: &[Ended]) -> Result<(), db::Error> {
    for one in ended {
        trail::touches(TargetKind::Session, &one.session);
        let seq: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
            "update revocation_counter set last = last + 1 where id = 1 returning last"
        ))
        .fetch_one(conn)
        .await)?;
        on!(tx, |conn| sqlx::query(sql!(
            "insert into revocation (seq, session_id, expires_at) values ($1, $2, $3) \
             on conflict (session_id) do nothing"
        ))
        .bind(seq)
        .bind(&one.session)
        .bind(one.tokens_expire_at)
        .execute(conn)
        .await
        .map(drop))?;
    }
    Ok(())
}

/// The last number given.
pub async fn revocation_last(tx: &mut Tx) -> Result<i64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select last from revocation_counter where id = 1"))
        .fetch_one(conn)
        .await)?)
}

/// What was revoked after a number, as far as it is still in force. A number that was never given comes from before the database was
/// restored from a backup: whoever brings it begins anew.
pub async fn revocations_after(tx: &mut Tx, after: i64) -> Result<Revocations, db::Error> {
    let (now, last) = (tx.now(), revocation_last(tx).await?);
    let after = if after > last { 0 } else { after };
    let rows: Vec<(i64, String, DateTime<Utc>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select seq, session_id, expires_at from revocation where seq > $1 and expires_at > $2 order by seq limit $3"
    ))
    .bind(after)
    .bind(now)
    .bind(ITEMS_MAX)
    .fetch_all(conn)
    .await
    })?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == ITEMS_MAX);
    let cursor = rows.last().filter(|_| is_full).map_or(last, |(seq, ..)| *seq);
    let items =
        rows.into_iter().map(|(_, session, expires_at)| Ended::from((session, expires_at)).revocation());
    Ok(Revocations { items: items.collect(), cursor })
}

/// Takes away what is no longer in force.
pub async fn revocation_purge(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from revocation where expires_at <= $1"))
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
