//! The `suppression` table: who is written to no more. It holds keyed hashes of addresses, and so is of an address and not of a patient: where several
//! share a number, STOP is said for all of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::deliveries::{Suppression as Shown, SuppressionReason};
use contracts::id::SuppressionId;
use contracts::notifications::Channel;
use db::{Db, Tx, on, sql};
use http_kit::page::Window;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::domain::delivery::Cause;
use crate::domain::notification::addressee;
use crate::domain::search::Key;
use crate::known::Address;
use crate::store::notification::{CHANNELS, channel_name};

const CAUSES: [Cause; 4] = [Cause::Stop, Cause::Bounce, Cause::Complaint, Cause::Gone];

/// A suppression as it stands in its row.
#[derive(Clone, Debug, FromRow)]
pub struct Suppression {
    id: String,
    channel: String,
    reason: String,
    created_at: DateTime<Utc>,
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Stop => "Stop",
        Cause::Bounce => "Bounce",
        Cause::Complaint => "Complaint",
        Cause::Gone => "Gone",
    }
}

fn hash(db: &Db, to: &str) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("suppressed", &addressee(to))
}

impl Suppression {
    /// Where it stands in the list.
    pub fn key(&self) -> Key {
        (self.created_at, self.id.clone())
    }

    /// Why.
    pub fn cause(&self) -> Option<Cause> {
        CAUSES.into_iter().find(|cause| cause_name(*cause) == self.reason)
    }

    /// As the API shows it.
    pub fn view(&self) -> Option<Shown> {
        let reason = match self.cause()? {
            Cause::Stop => SuppressionReason::Stop,
            Cause::Bounce => SuppressionReason::Bounce,
            Cause::Complaint => SuppressionReason::Complaint,
            Cause::Gone => SuppressionReason::Gone,
        };
        Some(Shown {
            suppression_id: SuppressionId::trusted(self.id.clone()),
            channel: CHANNELS.into_iter().find(|channel| channel_name(*channel) == self.channel)?,
            reason,
            created_at: self.created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        })
    }
}

/// Suppresses an address. What is suppressed is so already, but that STOP is said stands above all else.
pub async fn suppression_put(
    tx: &mut Tx,
    db: &Db,
    (channel, to): (Channel, &str),
    cause: Cause,
) -> Result<(), db::Error> {
    let (now, hash) = (tx.now(), hash(db, to)?);
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into suppression (id, channel, addressee, reason, created_at) values ($1, $2, $3, $4, $5) \
         on conflict (channel, addressee) do update set reason = excluded.reason where excluded.reason = 'Stop'"
    ))
    .bind(SuppressionId::generate(db.random()).as_str())
    .bind(channel_name(channel))
    .bind(&hash)
    .bind(cause_name(cause))
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Why an address is written to no more, if it is not.
pub async fn suppression_of(
    tx: &mut Tx,
    db: &Db,
    channel: Channel,
    to: &str,
) -> Result<Option<Cause>, db::Error> {
    let hash = hash(db, to)?;
    let found: Option<Suppression> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, channel, reason, created_at from suppression where channel = $1 and addressee = $2"
    ))
    .bind(channel_name(channel))
    .bind(&hash)
    .fetch_optional(conn)
    .await)?;
    Ok(found.and_then(|found| found.cause()))
}

/// Of these addresses, those that are written to no more.
pub async fn suppressed_of(
    tx: &mut Tx,
    db: &Db,
    addresses: &HashSet<Address, impl BuildHasher>,
) -> Result<HashSet<Address>, db::Error> {
    // Several may be one, written differently.
    let mut by_hash: HashMap<_, Vec<&Address>> = HashMap::new();
    let (mut hashes, mut places) = (Vec::new(), BTreeMap::new());
    for address @ (channel, to) in addresses {
        let hash = hash(db, to)?;
        places.insert(places.len().to_string(), (channel_name(*channel), hashes.len() + 1, hash.len()));
        hashes.extend(&hash);
        by_hash.entry((channel_name(*channel).to_owned(), hash)).or_default().push(address);
    }
    let places = Json(places);
    let rows: Vec<(String, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            // That the hashes are bytes PostgreSQL knows from what they are put beside.
            "select suppression.channel, suppression.addressee from jsonb_each($1) as it, \
             (select $2 as bytes union all select addressee from suppression where 1 = 0) as hashes, suppression \
             where suppression.channel = it.value ->> 0 and suppression.addressee = \
             substr(hashes.bytes, cast(it.value ->> 1 as integer), cast(it.value ->> 2 as integer))"
        ))
        .bind(&places)
        .bind(&hashes)
        .fetch_all(conn)
        .await
    })?;
    let found = rows.iter().filter_map(|row| by_hash.get(row)).flatten();
    Ok(found.map(|address| (*address).clone()).collect())
}

/// A stretch of the list, newest first; of one address, if it is given.
pub async fn suppression_list(
    tx: &mut Tx,
    db: &Db,
    to: Option<&str>,
    window: &Window<Key>,
) -> Result<Vec<Suppression>, db::Error> {
    let (hash, after) = (to.map(|to| hash(db, to)).transpose()?, window.below());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, channel, reason, created_at from suppression \
         where (created_at, id) < ($1, $2) and ($3 or addressee = $4) order by created_at desc, id desc limit $5"
    ))
    .bind(after.0)
    .bind(&after.1)
    .bind(hash.is_none())
    .bind(hash.unwrap_or_default())
    .bind(window.rows())
    .fetch_all(conn)
    .await
    })?)
}

/// The suppression, if there is one.
pub async fn suppression_find(tx: &mut Tx, id: &SuppressionId) -> Result<Option<Suppression>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, channel, reason, created_at from suppression where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// Writes to an address again.
pub async fn suppression_lift(tx: &mut Tx, id: &SuppressionId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from suppression where id = $1"))
        .bind(id.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Writes to a number again whose owner said so.
pub async fn suppression_lift_stop(tx: &mut Tx, db: &Db, number: &str) -> Result<(), db::Error> {
    let hash = hash(db, number)?;
    on!(tx, |conn| sqlx::query(sql!(
        "delete from suppression where channel = 'Sms' and addressee = $1 and reason = 'Stop'"
    ))
    .bind(&hash)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
