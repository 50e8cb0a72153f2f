//! The `patient` table.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId};
use db::{Db, Denied, Place, Subject, Tx, on, search_terms_clear, search_terms_put, sql};
use http_kit::Seeker;
use http_kit::page::Window;
use sqlx::FromRow;

use crate::domain::patient::Patient;
use crate::domain::search::{Key, Search, terms_of};
use crate::error::Error;

/// A patient as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: PatientId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When they were registered.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub patient: Patient,
    /// Whether they deny their medical history to whoever asked for a list.
    pub denied: Denied,
}

/// So many rows are looked through at a time, at least: those who share the rarest of what is asked for may differ in the rest.
const FOUND_MIN: u32 = 64;

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

impl Row {
    fn key(&self) -> Key {
        (self.created_at, self.id.clone())
    }
}

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "patient", column: "body", row: id }
}

async fn seal(db: &Db, id: &PatientId, patient: &Patient) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(&Subject::Patient(id.as_str()), place(id.as_str()), patient).await
}

/// `None` if their key is destroyed: they were erased since the row was read, or since the backup that it came back from.
async fn opened(db: &Db, row: Row) -> Result<Option<Kept>, db::Error> {
    let patient = match db.vault().open_json(&Subject::Patient(&row.id), place(&row.id), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(None),
        opened => opened?,
    };
    let Row { id, version, created_at, denied, .. } = row;
    Ok(Some(Kept { id: PatientId::trusted(id), version, created_at, patient, denied }))
}

/// Registers a patient. [`Error::Taken`] if the id was ever used.
pub async fn patient_insert(tx: &mut Tx, db: &Db, id: &PatientId, patient: &Patient) -> Result<(), Error> {
    let body = match seal(db, id, patient).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(Error::Taken),
        sealed => sealed?,
    };
    let now = tx.now();
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into patient (id, version, created_at, updated_at, body) values ($1, 1, $2, $2, $3) \
         on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    Ok(search_terms_put(tx, db, id.as_str(), terms_of(patient)).await?)
}

/// The patient, if there is one.
pub async fn patient_find(tx: &mut Tx, db: &Db, id: &PatientId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from patient where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => opened(db, row).await,
        None => Ok(None),
    }
}

/// Whether there is such a patient, or was.
pub async fn patient_was(tx: &mut Tx, id: &PatientId) -> Result<bool, db::Error> {
    let found: i64 = on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from patient where id = $1"))
        .bind(id.as_str())
        .fetch_one(conn)
        .await)?;
    Ok(found > 0)
}

/// Replaces a patient's data, if `version` is still the present one; tells whether it was.
pub async fn patient_update(
    tx: &mut Tx,
    db: &Db,
    id: &PatientId,
    version: i64,
    patient: &Patient,
) -> Result<bool, db::Error> {
    let (now, body) = (tx.now(), seal(db, id, patient).await?);
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update patient set version = version + 1, updated_at = $3, body = $4 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if updated == 1 {
        search_terms_put(tx, db, id.as_str(), terms_of(patient)).await?;
    }
    Ok(updated == 1)
}

/// Takes a patient's data away, if `version` is still the present one, and asks for their erasure; the id stays taken.
pub async fn patient_delete(tx: &mut Tx, id: &PatientId, version: i64) -> Result<bool, db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update patient set version = version + 1, updated_at = $3, deleted_at = $3, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 {
        search_terms_clear(tx, id.as_str()).await?;
        db::erasure_request(tx, id.as_str()).await?;
    }
    Ok(deleted == 1)
}

/// Takes the data of a patient away whose key is destroyed although nobody asked for that here, and asks for their erasure, under
/// [`db::erasure_lock`]; tells whether there was any.
pub async fn patient_delete_unopened(tx: &mut Tx, id: &PatientId) -> Result<bool, db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update patient set version = version + 1, updated_at = $2, deleted_at = $2, body = null \
         where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    search_terms_clear(tx, id.as_str()).await?;
    db::erasure_request(tx, id.as_str()).await?;
    Ok(deleted == 1)
}

/// A stretch of the list, newest first; to somebody who sees whom they treat, of those. Whether they deny their medical history to somebody stands with
/// each; `None` where somebody was erased.
pub async fn patient_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    seeker: Option<&Seeker>,
) -> Result<Vec<(Key, Option<Kept>)>, db::Error> {
    let Some(tokens) = db::search_tokens(db, &search.looked_up())? else {
        let rows = match seeker.filter(|seeker| seeker.is_carer) {
            None => list(tx, search, seeker).await?,
            Some(carer) => list_theirs(tx, search, carer).await?,
        };
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            kept.push((row.key(), opened(db, row).await?));
        }
        return Ok(kept);
    };
    let mut page = search.window.filling(search.window.limit.max(FOUND_MIN));
    while let Some(stretch) = page.unread() {
        let rows = find(tx, &tokens, &stretch, seeker).await?;
        page.has_read(rows.len());
        for row in rows {
            let key = row.key();
            let found = opened(db, row).await?.filter(|found| search.finds(&found.patient));
            if page.put(key, found.map(Some)) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

/// What consents know somebody by, the user and the patient they are; a part of the stack, to which none is denied anything, by nothing.
fn known_by(seeker: Option<&Seeker>) -> (&str, &str, Option<&str>) {
    seeker.map_or(("", "", None), |seeker| {
        (seeker.names.as_str(), seeker.user.as_str(), seeker.own.as_ref().map(PatientId::as_str))
    })
}

async fn list(tx: &mut Tx, search: &Search, seeker: Option<&Seeker>) -> Result<Vec<Row>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    let (names, user, own) = known_by(seeker);
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body, \
             (select min(d.consent) from denial d where d.patient_id = p.id and d.until > $4 \
                  and $5 like '%' || d.who || '%' and d.patient_id <> coalesce($7, '')) as denial, \
             (select max(g.id) from glass g \
              where g.user_id = $6 and g.patient_id = p.id and g.until > $4) as glass \
         from patient p \
         where p.deleted_at is null and (p.created_at, p.id) < ($1, $2) \
         order by p.created_at desc, p.id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(now)
    .bind(names)
    .bind(user)
    .bind(own)
    .fetch_all(conn)
    .await)?)
}

/// Some of those who have the tokens, newest first. The tokens drive, whoever asks: whom they treat is looked up for those who have them.
async fn find(
    tx: &mut Tx,
    tokens: &str,
    stretch: &Window<Key>,
    seeker: Option<&Seeker>,
) -> Result<Vec<Row>, db::Error> {
    let ((created_at, id), now) = (stretch.below(), tx.now());
    let (names, user, own) = known_by(seeker);
    let carer = seeker.filter(|seeker| seeker.is_carer);
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "with recursive number (n) as (select 0 union all select n + 1 from number where n < 31), \
             part (tokens) as materialized (select substr($1, 1024 * n + 1, 1024) from number), \
             sought (one, other) as ( \
                 select substr(tokens, 32 * n + 1, 16), substr(tokens, 32 * n + 17, 16) \
                 from part cross join number where 32 * n < length(tokens)) \
         select p.id, p.version, p.created_at, p.body, \
             (select min(d.consent) from denial d where d.patient_id = p.id and d.until > $5 \
                  and $8 like '%' || d.who || '%' and d.patient_id <> coalesce($7, '')) as denial, \
             (select max(g.id) from glass g \
              where g.user_id = $6 and g.patient_id = p.id and g.until > $5) as glass \
         from sought s cross join search_term i cross join patient p \
         where i.token = s.one and p.id = i.owner \
           and (s.other = s.one or exists (select 1 from search_term o where o.token = s.other and o.owner = i.owner)) \
           and p.deleted_at is null and (p.created_at, p.id) < ($2, $3) \
           and ($9 or p.id in ( \
             select patient_id from care where provider_id = $10 and until > $5 \
             union select patient_id from glass where user_id = $6 and until > $5 \
             union select $7)) \
         order by p.created_at desc, p.id desc limit $4"
        ))
        .bind(tokens)
        .bind(created_at)
        .bind(&id)
        .bind(stretch.rows())
        .bind(now)
        .bind(user)
        .bind(own)
        .bind(names)
        .bind(carer.is_none())
        .bind(carer.and_then(|carer| carer.provider.as_ref()).map(ProviderId::as_str))
        .fetch_all(conn)
        .await
    })?)
}

async fn list_theirs(tx: &mut Tx, search: &Search, carer: &Seeker) -> Result<Vec<Row>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    let (names, user, own) = known_by(Some(carer));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body, \
             (select min(d.consent) from denial d where d.patient_id = p.id and d.until > $5 \
                  and $8 like '%' || d.who || '%' and d.patient_id <> coalesce($7, '')) as denial, \
             (select max(g.id) from glass g \
              where g.user_id = $6 and g.patient_id = p.id and g.until > $5) as glass \
         from patient p \
         where p.deleted_at is null and (p.created_at, p.id) < ($1, $2) and p.id in ( \
             select patient_id from care where provider_id = $4 and until > $5 \
             union select patient_id from glass where user_id = $6 and until > $5 \
             union select $7) \
         order by p.created_at desc, p.id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(carer.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(user)
    .bind(own)
    .bind(names)
    .fetch_all(conn)
    .await)?)
}
