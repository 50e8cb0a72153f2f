//! Rows in chains, each with a code over itself and the one before.

use aws_lc_rs::{digest, hmac};
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::FromRow;

use super::entry::{HASH_CHARS, Prepared};
use super::insert::insert;
use super::lane::End;
use super::unavailable;
use crate::vault::AuditKey;
use crate::{Db, Engine, Error, Tx, on, sql};

/// Bytes of a code: HMAC-SHA-256, whole.
pub(super) const MAC: usize = 32;

/// What stands in the table.
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) chain: String,
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) generation: i64,
    pub(super) operation: String,
    pub(super) outcome: String,
    pub(super) who: String,
    /// The keyed hashes of whom and of what it is about, one after another: of patients, and of users, roles and sessions.
    #[sqlx(rename = "patients")]
    pub(super) about: String,
    pub(super) body: Vec<u8>,
    pub(super) mac: Vec<u8>,
    /// `at` as it stands in the row; nothing in one that is being written.
    pub(super) at_text: Option<String>,
}

impl Row {
    /// The code that it should have, behind a row that has `before`.
    pub(super) fn code(&self, service: &str, before: &[u8], key: &hmac::Key) -> [u8; MAC] {
        let mut context = hmac::Context::with_key(key);
        let body = digest::digest(&digest::SHA256, &self.body);
        for part in [
            b"audit 1".as_slice(),
            service.as_bytes(),
            self.chain.as_bytes(),
            &self.seq.to_be_bytes(),
            &self.at.timestamp_micros().to_be_bytes(),
            &self.generation.to_be_bytes(),
            self.operation.as_bytes(),
            self.outcome.as_bytes(),
            self.who.as_bytes(),
            self.about.as_bytes(),
            body.as_ref(),
            before,
        ] {
            // Each with its length, so that no two rows look alike.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut code = [0; MAC];
        code.copy_from_slice(context.sign().as_ref());
        code
    }

    /// The keyed hashes by which it is found.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &str> {
        let count = self.about.len() / HASH_CHARS;
        (0..count).filter_map(|at| self.about.get(at * HASH_CHARS..(at + 1) * HASH_CHARS))
    }

    /// Whether it has the code that it should have, behind a row that has `before`.
    pub(super) async fn is_whole(&self, db: &Db, keys: &mut Keys, before: &[u8]) -> Result<bool, Error> {
        let Some(key) = keys.of(db, self.generation).await? else { return Ok(false) };
        let code = self.code(db.service().as_str(), before, &key);
        let has_code = aws_lc_rs::constant_time::verify_slices_are_equal(&code, &self.mac).is_ok();
        Ok(has_code && self.is_of_its_time(db.engine()))
    }

    /// On SQLite instants are text, which sorts as they do only if all are written in the same way. The code is of the instant.
    fn is_of_its_time(&self, engine: Engine) -> bool {
        let ours = || self.at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        engine == Engine::Postgres || self.at_text.as_ref().is_some_and(|text| *text == ours())
    }
}

/// Puts entries at the end of a chain, and commits the transaction that they belong to.
pub(super) async fn commit(db: &Db, mut tx: Tx, entries: &[&Prepared]) -> Result<(), Error> {
    // Whatever may ask the keys store comes before the lane is taken.
    let key = db.audit().key(db).await.map_err(unavailable)?;
    let mut lane = db.audit().lanes.take().await;
    let now = tx.now();
    let mut end = match lane.end(now) {
        Some(end) => end,
        None => open(db, &mut tx).await.map_err(unavailable)?,
    };
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let row = next(db, &key, &end, entry);
        end.follow(&row);
        rows.push(row);
    }
    insert(&mut tx, &rows).await.map_err(unavailable)?;
    lane.commits();
    tx.finish().await?;
    lane.ends(end);
    Ok(())
}

async fn open(db: &Db, tx: &mut Tx) -> Result<End, Error> {
    let (chain, opened_at) = (db.random().id("aud"), tx.now());
    on!(tx, |conn| sqlx::query(sql!(
        "insert into audit_chain (chain, opened_at, finished) values ($1, $2, $3)"
    ))
    .bind(&chain)
    .bind(opened_at)
    .bind(false)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(End { chain, opened_at, seq: 0, mac: [0; MAC] })
}

/// The row of an entry behind a chain's end.
fn next(db: &Db, key: &AuditKey, end: &End, entry: &Prepared) -> Row {
    let mut row = Row {
        chain: end.chain.clone(),
        seq: end.seq + 1,
        at: entry.at,
        generation: i64::from(key.generation),
        operation: entry.operation.clone(),
        outcome: entry.outcome.to_owned(),
        who: entry.who.clone(),
        about: entry.about.clone(),
        body: entry.body.clone(),
        mac: Vec::new(),
        at_text: None,
    };
    row.mac = row.code(db.service().as_str(), &end.mac, &key.key).to_vec();
    row
}

/// Some of a chain's rows, in order from beyond `after`.
pub(super) async fn rows_after(
    tx: &mut Tx,
    chain: &str,
    after: i64,
    count_max: i64,
) -> Result<Vec<Row>, Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select chain, seq, at, generation, operation, outcome, who, patients, body, mac, \
             cast(at as text) as at_text from audit where chain = $1 and seq > $2 order by seq limit $3"
        ))
        .bind(chain)
        .bind(after)
        .bind(count_max)
        .fetch_all(conn)
        .await
    })?)
}

/// The least number below one, which no entry was ever given.
pub(super) async fn below_the_first(tx: &mut Tx, chain: &str) -> Result<Option<i64>, Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select min(seq) from audit where chain = $1 and seq < 1"))
        .bind(chain)
        .fetch_one(conn)
        .await)?)
}

/// The generations of the audit key, as they are asked for.
#[derive(Default)]
pub(super) struct Keys(Vec<(i64, Option<hmac::Key>)>);

impl Keys {
    pub(super) async fn of(&mut self, db: &Db, generation: i64) -> Result<Option<hmac::Key>, Error> {
        if let Some((_, key)) = self.0.iter().find(|(known, _)| *known == generation) {
            return Ok(key.clone());
        }
        let key = match u32::try_from(generation) {
            Ok(generation) => db.vault().audit_key(generation).await?,
            Err(_) => None,
        };
        self.0.push((generation, key.clone()));
        Ok(key)
    }
}

/// How far a chain was followed.
pub(super) struct Followed {
    pub(super) seq: i64,
    pub(super) mac: Vec<u8>,
    pub(super) generation: i64,
}

impl Followed {
    pub(super) fn from(seq: i64, mac: Vec<u8>) -> Self {
        Self { seq, mac, generation: 0 }
    }

    /// Whether the row is the next one as it was written. Goes on behind it either way, so that one that was altered is one fault.
    pub(super) async fn follow(&mut self, db: &Db, keys: &mut Keys, row: &Row) -> Result<bool, Error> {
        let is_next = row.seq == self.seq + 1 && row.generation >= self.generation;
        let is_whole = row.is_whole(db, keys, &self.mac).await?;
        *self = Self { seq: row.seq, mac: row.mac.clone(), generation: row.generation };
        Ok(is_next && is_whole)
    }
}
