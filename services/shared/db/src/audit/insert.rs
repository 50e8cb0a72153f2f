//! Rows of one chain put into the tables, eight to a statement, and what they are found by in one for all of them: where many entries come at
//! once, most of what a commit costs is its statements.

use super::chain::Row;
use super::entry::HASH_CHARS;
use crate::{Error, Tx, on, sql};

/// Rows in the larger of the two statements.
const TOGETHER: usize = 8;

/// A row's values, on whichever engine.
macro_rules! bind {
    ($query:expr, $row:expr) => {
        $query
            .bind(&$row.chain)
            .bind($row.seq)
            .bind($row.at)
            .bind($row.generation)
            .bind(&$row.operation)
            .bind(&$row.outcome)
            .bind(&$row.who)
            .bind(&$row.about)
            .bind(&$row.body)
            .bind(&$row.mac)
    };
}

/// Puts rows of one chain, each the next of the one before.
pub(super) async fn insert(tx: &mut Tx, rows: &[Row]) -> Result<(), Error> {
    let (eights, others) = rows.as_chunks::<TOGETHER>();
    for rows in eights {
        insert_eight(tx, rows).await?;
    }
    for row in others {
        insert_one(tx, row).await?;
    }
    insert_links(tx, rows).await
}

async fn insert_one(tx: &mut Tx, row: &Row) -> Result<(), Error> {
    on!(tx, |conn| {
        let query = sqlx::query(sql!(
            "insert into audit (chain, seq, at, generation, operation, outcome, who, patients, body, mac) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ));
        bind!(query, row).execute(conn).await.map(drop)
    })?;
    Ok(())
}

async fn insert_eight(tx: &mut Tx, rows: &[Row; TOGETHER]) -> Result<(), Error> {
    on!(tx, |conn| {
        let query = sqlx::query(sql!(
            "insert into audit (chain, seq, at, generation, operation, outcome, who, patients, body, mac) values \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), \
         ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20), \
         ($21, $22, $23, $24, $25, $26, $27, $28, $29, $30), \
         ($31, $32, $33, $34, $35, $36, $37, $38, $39, $40), \
         ($41, $42, $43, $44, $45, $46, $47, $48, $49, $50), \
         ($51, $52, $53, $54, $55, $56, $57, $58, $59, $60), \
         ($61, $62, $63, $64, $65, $66, $67, $68, $69, $70), \
         ($71, $72, $73, $74, $75, $76, $77, $78, $79, $80)"
        ));
        rows.iter().fold(query, |query, row| bind!(query, row)).execute(conn).await.map(drop)
    })?;
    Ok(())
}

/// A row for each keyed hash, cut from the entries' own by the database: a page of hits costs one statement more, and not fifty. Those of users,
/// roles and sessions stand among those of patients: no two are alike, and the version before reads them so too.
async fn insert_links(tx: &mut Tx, rows: &[Row]) -> Result<(), Error> {
    let hashes = rows.iter().map(|row| row.about.len() / HASH_CHARS).max().unwrap_or_default();
    let [Some(first), Some(last)] = [rows.first(), rows.last()] else { return Ok(()) };
    if hashes == 0 {
        return Ok(());
    }
    on!(tx, |conn| {
        sqlx::query(sql!(
            "insert into audit_patient (patient, at, chain, seq) \
             with recursive place (i) as ( \
                 select cast(0 as bigint) union all select i + 1 from place where i + 1 < $4) \
             select substr(audit.patients, cast(i * 32 + 1 as integer), 32), audit.at, audit.chain, audit.seq \
             from audit cross join place \
             where audit.chain = $1 and audit.seq between $2 and $3 and i * 32 < length(audit.patients)"
        ))
        .bind(&first.chain)
        .bind(first.seq)
        .bind(last.seq)
        .bind(i64::try_from(hashes).unwrap_or(i64::MAX))
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(())
}
