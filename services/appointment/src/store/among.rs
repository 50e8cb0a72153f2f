//! Rows that cannot be opened, among others that can.

use std::collections::BTreeSet;
use std::sync::Mutex;

/// So many rows are remembered for having been told of.
const TOLD_MAX: usize = 1_000;

/// Of which rows was told that they cannot be opened, by this process.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What was opened of one row among others, of whom each is looked at by itself: one that cannot be opened, now or ever (it is not as it was sealed, of another
/// shape, or its key is gone), is passed over, so that it is in nobody else's way. It is logged once, by its id. What ails all rows alike
/// ([`db::Error::is_of_the_row`]) is an error: nobody is to take that for an empty list.
///
/// Not for what must be whole ([`Want::Whole`]), nor for a change of all of a series.
pub fn among<T>(
    table: &'static str,
    id: &str,
    opened: Result<Option<T>, db::Error>,
) -> Result<Option<T>, db::Error> {
    match opened {
        Err(error) if error.is_of_the_row() => {
            tell(table, id, &error);
            Ok(None)
        }
        opened => opened,
    }
}

/// What is wanted of several rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// All of them, or none: an export, what a legal hold keeps.
    Whole,
    /// Those that can be opened.
    Openable,
    /// Those that can be opened now or never: one that opens and is of another shape was written by a newer version, which can read it.
    Undamaged,
}

impl Want {
    /// What was opened of one of them.
    pub fn take<T>(
        self,
        table: &'static str,
        id: &str,
        opened: Result<Option<T>, db::Error>,
    ) -> Result<Option<T>, db::Error> {
        match self {
            Self::Whole => opened,
            Self::Undamaged if matches!(opened, Err(db::Error::Sealed(db::SealError::Shape))) => opened,
            Self::Openable | Self::Undamaged => among(table, id, opened),
        }
    }
}

fn tell(table: &'static str, id: &str, error: &db::Error) {
    let mut told = TOLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if told.len() < TOLD_MAX && told.insert(format!("{table}:{id}")) {
        tracing::error!(%error, table, id, "a row cannot be opened, and is passed over");
    }
}

#[cfg(test)]
mod tests {
    use db::SealError;

    use super::*;

    #[test]
    fn what_is_of_one_row_is_passed_over_and_what_is_of_all_is_not() {
        for of_the_row in [SealError::Malformed, SealError::Refused, SealError::NoKey, SealError::Shape] {
            assert!(among::<()>("appointment", "apt1", Err(of_the_row.into())).unwrap().is_none());
        }
        assert_eq!(among("appointment", "apt1", Ok(Some(1))).unwrap(), Some(1));
        assert!(Want::Whole.take::<()>("appointment", "apt1", Err(SealError::Refused.into())).is_err());
        assert!(Want::Undamaged.take::<()>("appointment", "apt1", Err(SealError::Shape.into())).is_err());
        assert!(Want::Undamaged.take::<()>("appointment", "apt1", Err(SealError::Refused.into())).is_ok());
        let of_all = [
            SealError::RetiredKek { kek_id: "k".to_owned() }.into(),
            SealError::KeeperRefused { why: "no".to_owned() }.into(),
            db::Error::KeeperSilent { why: "no".to_owned() },
            db::Error::no_answer(),
        ];
        for error in of_all {
            assert!(among::<()>("appointment", "apt1", Err(error)).is_err());
        }
    }
}
