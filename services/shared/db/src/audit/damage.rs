//! Whether an entry that was found is as it was written. One that is not is shown, and said to be so: an entry that could make the whole
//! list fail, or be left out of it, would be hidden by damaging it.

use sqlx::FromRow;

use super::chain::{Keys, MAC, Row};
use super::entry::{AuditEntry, AuditOutcome, open};
use super::find::{AuditPlace, FoundEntry};
use crate::{Db, Error, SealError};

/// What is wrong with an entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditDamage {
    /// It, or what it was written behind, was altered or taken away.
    Altered,
    /// What it says cannot be read: it was altered, or the key that it was sealed under is gone before its time.
    Unreadable,
}

/// An entry's row, with the code that it was written behind.
#[derive(FromRow)]
pub(super) struct Found {
    #[sqlx(flatten)]
    row: Row,
    mac_before: Option<Vec<u8>>,
}

/// What an entry says, and whether it is as it was written; `None` if its time is over.
pub(super) async fn opened(db: &Db, keys: &mut Keys, found: Found) -> Result<Option<FoundEntry>, Error> {
    let is_whole = is_whole(db, keys, &found).await?;
    let row = found.row;
    let place = AuditPlace { at: row.at, chain: row.chain.clone(), seq: row.seq };
    let (entry, damage) = match open(db, row.at, &row.body).await {
        // That it was there can still be verified.
        Ok(None) => return Ok(None),
        Ok(Some(entry)) => (entry, (!is_whole).then_some(AuditDamage::Altered)),
        Err(error) if is_damage(&error) => (by_its_row(&row), Some(AuditDamage::Unreadable)),
        Err(error) => return Err(error),
    };
    Ok(Some(FoundEntry { place, entry, damage }))
}

async fn is_whole(db: &Db, keys: &mut Keys, found: &Found) -> Result<bool, Error> {
    let Found { row, mac_before } = found;
    match (row.seq, mac_before) {
        (1, _) => row.is_whole(db, keys, &[0; MAC]).await,
        (2.., Some(before)) => row.is_whole(db, keys, before).await,
        _ => Ok(false),
    }
}

/// Whether it is the entry's fault, and not that of a store or a secret which may be mended in a moment.
fn is_damage(error: &Error) -> bool {
    use SealError::{Malformed, NoKey, Refused, Shape};
    matches!(error, Error::KeyDestroyed { .. } | Error::Sealed(Malformed | NoKey | Refused | Shape))
}

/// The little that stands in the clear.
fn by_its_row(row: &Row) -> AuditEntry {
    let outcome = AuditOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == row.outcome);
    AuditEntry::of(
        &row.operation,
        contracts::trail::Told::default(),
        outcome.unwrap_or(AuditOutcome::Failed),
        None,
    )
}
