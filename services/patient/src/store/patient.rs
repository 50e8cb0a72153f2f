//! The `patient` table.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId};
use db::{Db, Denied, Place, Subject, TERMS_MAX, Tx, on, search_index_clear, search_index_put, sql};
use http_kit::Seeker;
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

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "patient", column: "body", row: id }
}

async fn seal(db: &Db, id: &PatientId, patient: &Patient) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(&Subject::Patient(id.as_str()), place(id.as_str()), patient).await
}

async fn opened(db: &Db, row: Row) -> Result<Kept, db::Error> {
    let patient = db.vault().open_json(&Subject::Patient(&row.id), place(&row.id), &row.body).await?;
    let Row { id, version, created_at, denied, .. } = row;
    Ok(Kept { id: PatientId::trusted(id), version, created_at, patient, denied })
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
    Ok(search_index_put(tx, db, id.as_str(), terms_of(patient)).await?)
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
        Some(row) => opened(db, row).await.map(Some),
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
        search_index_put(tx, db, id.as_str(), terms_of(patient)).await?;
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
        search_index_clear(tx, id.as_str()).await?;
        db::erasure_request(tx, id.as_str()).await?;
    }
    Ok(deleted == 1)
}

/// A stretch of the list, newest first; to somebody who sees whom they treat, of those. Whether they deny their medical history to somebody stands with
/// each.
pub async fn patient_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    seeker: Option<&Seeker>,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let carer = seeker.filter(|seeker| seeker.is_carer);
    let rows = match (db::search_tokens(db, &search.terms)?, carer) {
        (None, None) => list(tx, search, seeker).await?,
        (None, Some(carer)) => list_theirs(tx, search, carer).await?,
        (Some(tokens), None) => find(tx, search, &tokens, seeker).await?,
        (Some(tokens), Some(carer)) => find_theirs(tx, search, &tokens, carer).await?,
    };
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.created_at, row.id.clone());
        kept.push((key, opened(db, row).await?));
    }
    Ok(kept)
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

/// The first term drives; each further one must be there too.
async fn find(
    tx: &mut Tx,
    search: &Search,
    tokens: &[Vec<u8>; TERMS_MAX],
    seeker: Option<&Seeker>,
) -> Result<Vec<Row>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    let (names, user, own) = known_by(seeker);
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body, \
             (select min(d.consent) from denial d where d.patient_id = p.id and d.until > $10 \
                  and $11 like '%' || d.who || '%' and d.patient_id <> coalesce($13, '')) as denial, \
             (select max(g.id) from glass g \
              where g.user_id = $12 and g.patient_id = p.id and g.until > $10) as glass \
         from search_index i join patient p on p.id = i.owner \
         where i.token = $1 \
           and exists (select 1 from search_index o where o.token = $2 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $3 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $4 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $5 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $6 and o.owner = p.id) \
           and p.deleted_at is null and (p.created_at, p.id) < ($7, $8) \
         order by p.created_at desc, p.id desc limit $9"
    ))
    .bind(&tokens[0])
    .bind(&tokens[1])
    .bind(&tokens[2])
    .bind(&tokens[3])
    .bind(&tokens[4])
    .bind(&tokens[5])
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

/// Whom they treat drives: that are fewer than a word finds.
async fn find_theirs(
    tx: &mut Tx,
    search: &Search,
    tokens: &[Vec<u8>; TERMS_MAX],
    carer: &Seeker,
) -> Result<Vec<Row>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    let (names, user, own) = known_by(Some(carer));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body, \
             (select min(d.consent) from denial d where d.patient_id = p.id and d.until > $11 \
                  and $14 like '%' || d.who || '%' and d.patient_id <> coalesce($13, '')) as denial, \
             (select max(g.id) from glass g \
              where g.user_id = $12 and g.patient_id = p.id and g.until > $11) as glass \
         from patient p \
         where exists (select 1 from search_index o where o.token = $1 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $2 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $3 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $4 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $5 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $6 and o.owner = p.id) \
           and p.deleted_at is null and (p.created_at, p.id) < ($7, $8) and p.id in ( \
             select patient_id from care where provider_id = $10 and until > $11 \
             union select patient_id from glass where user_id = $12 and until > $11 \
             union select $13) \
         order by p.created_at desc, p.id desc limit $9"
    ))
    .bind(&tokens[0])
    .bind(&tokens[1])
    .bind(&tokens[2])
    .bind(&tokens[3])
    .bind(&tokens[4])
    .bind(&tokens[5])
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
