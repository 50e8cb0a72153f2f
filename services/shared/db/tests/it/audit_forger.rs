//! Whoever has the database, its keys store and the key-encryption key: they can write the audit anew, code by code. They cannot sign.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use chrono::{DateTime, Utc};
use db::{Engine, on};
use settings::Database;
use sqlx::{Connection, PgConnection, SqliteConnection};
use testkit::TestDb;

const KEK: &[u8; 32] = b"a test's key-encryption key: 32B";

#[derive(sqlx::FromRow)]
struct Row {
    chain: String,
    seq: i64,
    at: DateTime<Utc>,
    generation: i64,
    operation: String,
    outcome: String,
    who: String,
    patients: String,
    body: Vec<u8>,
}

/// Runs one statement on the data.
pub(crate) async fn tamper(db: &db::Db, sql: &str) -> u64 {
    let mut tx = db.begin().await.unwrap();
    let statement = sqlx::AssertSqlSafe(sql.to_owned());
    let rows = on!(tx, |conn| sqlx::query(statement).execute(conn).await.map(|done| done.rows_affected()));
    let rows = rows.unwrap();
    tx.commit().await.unwrap();
    rows
}

/// Runs one statement in the keys store.
pub(crate) async fn tamper_with_keys(test: &TestDb, sql: &str) {
    let statement = sqlx::AssertSqlSafe(sql.to_owned());
    match test.settings() {
        Database::Sqlite { keys_path, .. } => {
            let url = format!("sqlite://{}", keys_path.display());
            let mut conn = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query(statement).execute(&mut conn).await.unwrap();
        }
        Database::Postgres { .. } => {
            let mut conn = postgres(test).await;
            sqlx::query(statement).execute(&mut conn).await.unwrap();
        }
    }
}

/// Writes the codes of a chain anew from `from` on, each as whoever has the key makes it.
pub(crate) async fn write_codes_anew(test: &TestDb, chain: &str, from: i64) {
    let db = test.db();
    let key = audit_key(test).await;
    let mut tx = db.begin().await.unwrap();
    let mut before: Vec<u8> =
        on!(tx, |conn| sqlx::query_scalar("select mac from audit where chain = $1 and seq = $2")
            .bind(chain)
            .bind(from - 1)
            .fetch_optional(conn)
            .await)
        .unwrap()
        .unwrap_or_else(|| vec![0; 32]);
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(
        "select chain, seq, at, generation, operation, outcome, who, patients, body from audit \
         where chain = $1 and seq >= $2 order by seq"
    )
    .bind(chain)
    .bind(from)
    .fetch_all(conn)
    .await)
    .unwrap();
    for row in rows {
        let code = code(&row, &before, &key);
        on!(tx, |conn| sqlx::query("update audit set mac = $1 where chain = $2 and seq = $3")
            .bind(&code)
            .bind(chain)
            .bind(row.seq)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
        before = code;
    }
    tx.commit().await.unwrap();
}

fn code(row: &Row, before: &[u8], key: &hmac::Key) -> Vec<u8> {
    let body = digest::digest(&digest::SHA256, &row.body);
    let mut context = hmac::Context::with_key(key);
    for part in [
        b"audit 1".as_slice(),
        b"patient-service",
        row.chain.as_bytes(),
        &row.seq.to_be_bytes(),
        &row.at.timestamp_micros().to_be_bytes(),
        &row.generation.to_be_bytes(),
        row.operation.as_bytes(),
        row.outcome.as_bytes(),
        row.who.as_bytes(),
        row.patients.as_bytes(),
        body.as_ref(),
        before,
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// The audit key's first generation, unwrapped.
async fn audit_key(test: &TestDb) -> hmac::Key {
    let sql = "select wrapped, kek_id from data_key where subject = 'audit' and generation = 1";
    let (wrapped, kek_id): (Vec<u8>, String) = match test.settings() {
        Database::Sqlite { keys_path, .. } => {
            let mut conn =
                SqliteConnection::connect(&format!("sqlite://{}", keys_path.display())).await.unwrap();
            sqlx::query_as(sql).fetch_one(&mut conn).await.unwrap()
        }
        Database::Postgres { .. } => sqlx::query_as(sql).fetch_one(&mut postgres(test).await).await.unwrap(),
    };
    let mut aad = vec![1];
    for part in ["key", "patient-service", "audit", "1", &kek_id] {
        aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    let kek = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, KEK).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&wrapped[1..13]).unwrap();
    let mut key = wrapped[13..].to_vec();
    let key = kek.open_in_place(nonce, Aad::from(aad), &mut key).unwrap();
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

async fn postgres(test: &TestDb) -> PgConnection {
    assert_eq!(test.db().engine(), Engine::Postgres);
    let url = std::fs::read_to_string(test.dir().join("secrets/database/url")).unwrap();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    sqlx::query("set search_path to patient_keys, public").execute(&mut conn).await.unwrap();
    conn
}
