//! The `template` table: what notifications of appointments say, where somebody wrote something else than comes with this service.

use contracts::notifications::NotificationType;
use contracts::templates::Language;
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::text::Template;

/// A template that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTemplate {
    /// What it is for.
    pub kind: NotificationType,
    /// In which language.
    pub language: Language,
    /// Counts its changes, from 1.
    pub version: i64,
    /// What it says.
    pub template: Template,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    language: String,
    version: i64,
    body: Vec<u8>,
}

fn row(kind: &str, language: &str) -> String {
    format!("{kind}:{language}")
}

fn place(row: &str) -> Place<'_> {
    Place { table: "template", column: "body", row }
}

/// All of them: a few for each language.
pub async fn template_list(tx: &mut Tx, db: &Db) -> Result<Vec<KeptTemplate>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!("select kind, language, version, body from template order by kind, language"))
            .fetch_all(conn)
            .await
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for Row { kind, language, version, body } in rows {
        let row = row(&kind, &language);
        let template = db.vault().open_json(&Subject::Service, place(&row), &body).await?;
        // What a later version has a name for is no matter to this one.
        let named = kind.parse().ok().zip(language.parse().ok());
        kept.extend(named.map(|(kind, language)| KeptTemplate { kind, language, version, template }));
    }
    Ok(kept)
}

/// Keeps one, if `version` is still the present one (0: there is none); tells whether it was.
pub async fn template_put(tx: &mut Tx, db: &Db, kept: &KeptTemplate) -> Result<bool, db::Error> {
    let KeptTemplate { kind, language, version, template } = kept;
    let (row, now) = (row(kind.as_str(), language.as_str()), tx.now());
    let body = db.vault().seal_json(&Subject::Service, place(&row), template).await?;
    let put = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into template (kind, language, version, updated_at, body) values ($1, $2, $3, $4, $5) \
         on conflict (kind, language) do update set version = excluded.version, updated_at = excluded.updated_at, body = excluded.body \
         where template.version = excluded.version - 1"
    ))
    .bind(kind.as_str())
    .bind(language.as_str())
    .bind(version + 1)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(put == 1)
}

/// Takes one away; whether there was one.
pub async fn template_delete(
    tx: &mut Tx,
    kind: NotificationType,
    language: Language,
) -> Result<bool, db::Error> {
    let gone = on!(tx, |conn| sqlx::query(sql!("delete from template where kind = $1 and language = $2"))
        .bind(kind.as_str())
        .bind(language.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(gone == 1)
}
