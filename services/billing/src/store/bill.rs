//! The `bill` table, a bill at a time.

use chrono::{DateTime, Datelike, Utc};
use contracts::bills::BillStatus;
use contracts::id::{BillId, PatientId};
use db::{Db, Denied, Place, Subject, Tx, on, sql};
use http_kit::page::Newest;
use sqlx::FromRow;

use crate::domain::bill::Bill;
use crate::error::Error;

/// A bill as kept: the data with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: BillId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// The patient was erased, and the law keeps the bill.
    pub restricted: bool,
    /// The last year in which a restricted bill is kept; `None`: nobody has said.
    pub until_year: Option<i64>,
    /// The data.
    pub bill: Bill,
    /// Whether the patient denies it to whoever asked for a list.
    pub denied: Denied,
}

/// A bill as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    patient_id: String,
    restricted: bool,
    until_year: Option<i64>,
    /// Where it stands, as [`tag`] has it. Of a list alone.
    #[sqlx(default)]
    status: Vec<u8>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "bill", column: "body", row: id }
}

/// How a restricted bill is kept.
pub(super) fn keeping(until_year: Option<i64>) -> db::Kept {
    until_year.map_or(db::Kept::Always, db::Kept::Until)
}

/// A restricted bill outlives its patient's key.
fn subject(patient: &str, restricted: bool, until_year: Option<i64>) -> Subject<'_> {
    if restricted { db::retained_subject(keeping(until_year), patient) } else { Subject::Patient(patient) }
}

/// Whose key is destroyed was erased since the bill was read: it is restricted or gone by now.
fn meanwhile(error: db::Error) -> db::Error {
    if matches!(error, db::Error::KeyDestroyed { .. }) { db::Error::LostRace } else { error }
}

async fn seal(db: &Db, id: &BillId, subject: &Subject<'_>, bill: &Bill) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(subject, place(id.as_str()), bill).await.map_err(meanwhile)
}

impl Sealed {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId::trusted(self.patient_id.clone())
    }

    /// Its place in a list.
    pub(super) fn key(&self) -> Newest {
        (self.created_at, self.id.clone())
    }

    /// Whether it stands there, by what stands beside the body.
    pub fn stands(&self, db: &Db, status: BillStatus) -> Result<bool, db::Error> {
        Ok(tag(db, &self.id, status)? == self.status)
    }

    /// Whether the patient was erased, and the law keeps the bill.
    pub fn is_restricted(&self) -> bool {
        self.restricted
    }

    /// Which, and as of which change.
    pub(super) fn head(&self) -> (BillId, i64) {
        (BillId::trusted(self.id.clone()), self.version)
    }

    /// The bill; `None` if its patient's key is destroyed: they were erased since the row was read, or since the backup that it came back
    /// from.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let subject = subject(&self.patient_id, self.restricted, self.until_year);
        let bill = match db.vault().open_json(&subject, place(&self.id), &self.body).await {
            Err(db::Error::KeyDestroyed { .. }) => return Ok(None),
            opened => opened?,
        };
        let Self { id, version, created_at, restricted, until_year, denied, .. } = self;
        Ok(Some(Kept { id: BillId::trusted(id), version, created_at, restricted, until_year, bill, denied }))
    }
}

/// A bill's status as a keyed hash of its own: there are four, and whoever could tell equal ones would count them.
pub(super) fn tag(db: &Db, bill: &str, status: BillStatus) -> Result<Vec<u8>, db::Error> {
    db.vault().blind_in_row("status", bill, status.as_str())
}

/// Creates a bill, under [`db::erasure_lock`]. [`Error::Taken`] if the id was ever used; [`Error::UnknownPatient`] if the patient was
/// erased.
pub async fn bill_insert(tx: &mut Tx, db: &Db, id: &BillId, bill: &Bill) -> Result<(), Error> {
    if db::erasure_is_requested(tx, bill.patient_id.as_str()).await? {
        return Err(Error::UnknownPatient);
    }
    let subject = Subject::Patient(bill.patient_id.as_str());
    let (now, body, status) =
        (tx.now(), seal(db, id, &subject, bill).await?, tag(db, id.as_str(), bill.status)?);
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into bill (id, version, created_at, updated_at, patient_id, status, body) \
         values ($1, 1, $2, $2, $3, $4, $5) on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(bill.patient_id.as_str())
    .bind(&status)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 1 { Ok(()) } else { Err(Error::Taken) }
}

/// The bill, if there is one.
pub async fn bill_find(tx: &mut Tx, id: &BillId) -> Result<Option<Sealed>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, until_year, body from bill \
         where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?)
}

/// Replaces a bill's data. [`db::Error::LostRace`] if it changed since it was read. The years of a restricted one count from then on.
pub async fn bill_update(tx: &mut Tx, db: &Db, kept: &Kept, bill: &Bill) -> Result<(), db::Error> {
    let from_year = kept.restricted.then(|| i64::from(tx.now().year()));
    write(tx, db, kept, bill, (kept.restricted, from_year, kept.until_year)).await
}

/// Restricts a bill, or keeps a restricted one for longer: it moves under a key that outlives its patient's.
pub async fn bill_restrict(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    from_year: i64,
    until_year: Option<i64>,
) -> Result<(), db::Error> {
    write(tx, db, kept, &kept.bill, (true, Some(from_year), until_year)).await
}

async fn write(
    tx: &mut Tx,
    db: &Db,
    kept: &Kept,
    bill: &Bill,
    (restricted, from_year, until_year): (bool, Option<i64>, Option<i64>),
) -> Result<(), db::Error> {
    let now = tx.now();
    let subject = subject(bill.patient_id.as_str(), restricted, until_year);
    let (body, status) = (seal(db, &kept.id, &subject, bill).await?, tag(db, kept.id.as_str(), bill.status)?);
    let updated = on!(tx, |conn| {
        sqlx::query(sql!(
        "update bill set version = version + 1, updated_at = $3, status = $4, restricted = $5, body = $6, \
         from_year = $7, until_year = $8 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(now)
    .bind(&status)
    .bind(restricted)
    .bind(&body)
    .bind(from_year)
    .bind(until_year)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if updated == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// Takes everything of a bill away but its id, which stays taken. [`db::Error::LostRace`] if it changed since it was read.
pub async fn bill_delete(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    bill_clear(tx, &kept.id, kept.version).await
}

/// The same of one that cannot be opened.
pub(super) async fn bill_clear(tx: &mut Tx, id: &BillId, version: i64) -> Result<(), db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update bill set version = version + 1, updated_at = $3, deleted_at = $3, \
         patient_id = null, status = null, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}
