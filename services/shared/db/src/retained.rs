//! What is kept of patients who were deleted, out of sight of everything else: the `retained` table.
//!
//! Whatever goes there leaves its own table, so that no list, search or read of a service has to remember to leave it out. Bills that were sent
//! are not here: they may still be paid, and stand restricted where bills stand.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::FromRow;

use crate::retention::{Fate, Kept, fate, retention_year};
use crate::vault::{Place, Subject};
use crate::{Db, Error, Tx, erasure_lock, legal_hold_on, on, sql};

/// The year from which years count of what a hold alone keeps, since its patient is not deleted: whatever they are, they are over.
pub const NO_YEARS: i64 = 0;

/// Something that is to be kept, by its kind and its id in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// What it is: `records`.
    pub kind: &'a str,
    /// Which.
    pub id: &'a str,
    /// Whose.
    pub patient: &'a str,
    /// The year from which its years count, or [`NO_YEARS`].
    pub from_year: i64,
}

/// Something that is kept, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained<T> {
    /// What it is.
    pub kind: String,
    /// Which.
    pub id: String,
    /// How it is kept.
    pub kept: Kept,
    /// What it says.
    pub body: T,
}

/// One of a list: its kind and id, by which the list is sorted, and what it is, if it can still be opened.
pub type Listed<T> = ((String, String), Option<Retained<T>>);

/// How many of a kind are kept alike.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RetainedGroup {
    /// What they are.
    pub kind: String,
    /// The year from which their years count.
    pub from_year: i64,
    /// The last year in which they are kept; `None`: as long as there is a hold, or with no end.
    pub until_year: Option<i64>,
    /// The version of the hold under whose key they are.
    pub hold: Option<i64>,
    /// The version of the hold that is on their patient now.
    pub on_hold: Option<i64>,
    /// How many.
    pub count: i64,
}

impl RetainedGroup {
    /// How they are kept.
    pub fn kept(&self) -> Kept {
        kept(self.until_year, self.hold)
    }
}

/// What was done of what was due of one patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many were looked at; none: there is nothing left to do.
    pub seen: usize,
    /// How many of each kind went.
    pub gone: Vec<(String, u64)>,
}

impl Settled {
    /// Counts one that went.
    pub fn count(&mut self, kind: &str) {
        match self.gone.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => self.gone.push((kind.to_owned(), 1)),
        }
    }
}

#[derive(FromRow)]
struct Row {
    kind: String,
    id: String,
    from_year: i64,
    until_year: Option<i64>,
    hold: Option<i64>,
    body: Vec<u8>,
}

fn kept(until_year: Option<i64>, hold: Option<i64>) -> Kept {
    match (until_year, hold) {
        (Some(until), _) => Kept::Until(until),
        (None, Some(version)) => Kept::Held(version),
        (None, None) => Kept::Always,
    }
}

/// Whose key something is under that is kept so.
pub fn retained_subject(kept: Kept, patient: &str) -> Subject<'_> {
    match kept {
        Kept::Always => Subject::Service,
        Kept::Until(year) => Subject::Year(year),
        Kept::Held(version) => Subject::Hold { patient, version },
    }
}

fn columns(kept: Kept) -> (Option<i64>, Option<i64>) {
    match kept {
        Kept::Always => (None, None),
        Kept::Until(year) => (Some(year), None),
        Kept::Held(version) => (None, Some(version)),
    }
}

fn name(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

fn place(row: &str) -> Place<'_> {
    Place { table: "retained", column: "body", row }
}

/// Keeps something, under [`erasure_lock`], in the transaction that takes it out of its table.
pub async fn retained_put<T: Serialize + ?Sized>(
    tx: &mut Tx,
    db: &Db,
    item: Item<'_>,
    kept: Kept,
    body: &T,
) -> Result<(), Error> {
    let (row, (until_year, hold)) = (name(item.kind, item.id), columns(kept));
    let body = db.vault().seal_json(&retained_subject(kept, item.patient), place(&row), body).await?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into retained (kind, id, patient, from_year, until_year, hold, body) values ($1, $2, $3, $4, $5, $6, $7)"
    ))
    .bind(item.kind)
    .bind(item.id)
    .bind(item.patient)
    .bind(item.from_year)
    .bind(until_year)
    .bind(hold)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// A stretch of what is kept of a patient, from beyond `after`. What cannot be opened any more has its place in it, and nothing to show.
pub async fn retained_list<T: DeserializeOwned>(
    tx: &mut Tx,
    db: &Db,
    patient: &str,
    (kind, id): (&str, &str),
    rows_max: i64,
) -> Result<Vec<Listed<T>>, Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select kind, id, from_year, until_year, hold, body from retained \
         where patient = $1 and (kind, id) > ($2, $3) order by kind, id limit $4"
    ))
    .bind(patient)
    .bind(kind)
    .bind(id)
    .bind(rows_max)
    .fetch_all(conn)
    .await)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (key, kept) = ((row.kind.clone(), row.id.clone()), kept(row.until_year, row.hold));
        let body = opened(db, patient, &row).await?;
        found.push((key, body.map(|body| Retained { kind: row.kind, id: row.id, kept, body })));
    }
    Ok(found)
}

/// What a row says; `None` if its key was destroyed: it goes with the next run.
async fn opened<T: DeserializeOwned>(db: &Db, patient: &str, row: &Row) -> Result<Option<T>, Error> {
    let (name, subject) =
        (name(&row.kind, &row.id), retained_subject(kept(row.until_year, row.hold), patient));
    match db.vault().open_json(&subject, place(&name), &row.body).await {
        Err(Error::KeyDestroyed { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// How many are kept, of one patient or of all, those that are kept alike together.
pub async fn retained_groups(tx: &mut Tx, patient: Option<&str>) -> Result<Vec<RetainedGroup>, Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select r.kind, r.from_year, r.until_year, min(r.hold) as hold, min(h.version) as on_hold, count(*) as count \
         from retained r left join legal_hold h \
             on h.patient = r.patient and h.is_active and (h.until is null or h.until > $1) \
         where $2 or r.patient = $3 \
         group by r.kind, r.from_year, r.until_year, h.patient is null order by r.kind, r.from_year, r.until_year"
    ))
    .bind(now)
    .bind(patient.is_none())
    .bind(patient.unwrap_or_default())
    .fetch_all(conn)
    .await
    })?)
}

/// Patients of whom something is due, from beyond `after`.
pub async fn retained_due(
    tx: &mut Tx,
    years: u32,
    after: &str,
    count_max: i64,
) -> Result<Vec<String>, Error> {
    let (now, year) = (tx.now(), retention_year(tx.now()));
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select distinct r.patient from retained r left join legal_hold h \
             on h.patient = r.patient and h.is_active and (h.until is null or h.until > $1) \
         where r.patient > $2 and (r.until_year < $3 or r.until_year < r.from_year + $4 \
             or r.until_year is null and (h.patient is null or $4 > 0 and r.from_year + $4 >= $3)) \
         order by r.patient limit $5"
    ))
    .bind(now)
    .bind(after)
    .bind(year)
    .bind(i64::from(years))
    .bind(count_max)
    .fetch_all(conn)
    .await)?)
}

/// Does what is due of one patient, `count_max` of it at most, under [`erasure_lock`], where their hold has been read.
pub async fn retained_settle(
    tx: &mut Tx,
    db: &Db,
    patient: &str,
    (years, hold): (u32, Option<i64>),
    count_max: i64,
) -> Result<Settled, Error> {
    let year = retention_year(tx.now());
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select kind, id, from_year, until_year, hold, body from retained \
         where patient = $1 and (until_year < $2 or until_year < from_year + $3 \
             or until_year is null and ($4 or $3 > 0 and from_year + $3 >= $2)) \
         order by kind, id limit $5"
    ))
    .bind(patient)
    .bind(year)
    .bind(i64::from(years))
    .bind(hold.is_none())
    .bind(count_max)
    .fetch_all(conn)
    .await)?;
    let mut settled = Settled { seen: rows.len(), gone: Vec::new() };
    for row in rows {
        let before = kept(row.until_year, row.hold);
        match fate(before, row.from_year, Some(years), hold, year) {
            Fate::Kept(after) if after == before => {}
            Fate::Kept(after) if reseal(tx, db, patient, &row, after).await? => {}
            // An older copy of the data has brought it back, under a key that is destroyed: it went, and was counted, long ago.
            Fate::Kept(_) => remove(tx, &row.kind, &row.id).await?,
            Fate::Gone => {
                remove(tx, &row.kind, &row.id).await?;
                settled.count(&row.kind);
            }
        }
    }
    Ok(settled)
}

/// Puts something under the key of what it is kept by now; `false` if it opens no more.
async fn reseal(tx: &mut Tx, db: &Db, patient: &str, row: &Row, after: Kept) -> Result<bool, Error> {
    let Some(body) = opened::<Box<RawValue>>(db, patient, row).await? else { return Ok(false) };
    let (name, (until_year, hold)) = (name(&row.kind, &row.id), columns(after));
    let body = db.vault().seal_json(&retained_subject(after, patient), place(&name), &body).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "update retained set until_year = $3, hold = $4, body = $5 where kind = $1 and id = $2"
    ))
    .bind(&row.kind)
    .bind(&row.id)
    .bind(until_year)
    .bind(hold)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(true)
}

async fn remove(tx: &mut Tx, kind: &str, id: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from retained where kind = $1 and id = $2"))
        .bind(kind)
        .bind(id)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Destroys the keys of holds under which nothing is kept any more, and nothing will be: what comes under a hold later has the hold's later version.
/// Only once the rows are known to be gone: a key that is destroyed never comes back, and a transaction may. Returns how many.
pub async fn hold_keys_destroy(db: &Db) -> Result<u64, Error> {
    let mut destroyed = 0;
    for (patient, version) in db.vault().holds_live().await? {
        let mut tx = db.begin().await?;
        erasure_lock(&mut tx, &patient).await?;
        let is_on = legal_hold_on(&mut tx, &patient).await? == Some(version);
        if !is_on && !is_used(&mut tx, &patient, version).await? {
            db.vault().destroy(&Subject::Hold { patient: &patient, version }).await?;
            destroyed += 1;
        }
        tx.rollback().await?;
    }
    Ok(destroyed)
}

async fn is_used(tx: &mut Tx, patient: &str, hold: i64) -> Result<bool, Error> {
    let count: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from retained where patient = $1 and hold = $2"
    ))
    .bind(patient)
    .bind(hold)
    .fetch_one(conn)
    .await)?;
    Ok(count > 0)
}

/// Destroys the keys of years that are over, a day after they are: what was erased in their last moment, and is still to be committed, is not lost to a
/// hold. Nothing that is kept is under one by then, if what was due was done. Returns how many.
pub async fn year_keys_destroy(db: &Db) -> Result<u64, Error> {
    let year = retention_year(db.clock().now() - chrono::TimeDelta::days(1));
    db.vault().destroy_years_before(year).await
}
