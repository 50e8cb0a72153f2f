//! Where a bill may go from where it stands.
//!
//! ```text
//! Draft ──> Issued ──> Paid
//!   └─────────┴──────> Void
//! ```
//!
//! Paid and void bills are closed: nothing about them changes any more.

use contracts::bills::BillStatus;

/// Why a bill stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is closed.
    #[error("A bill that is {0} cannot be changed")]
    Closed(BillStatus),
    /// No way leads there.
    #[error("A bill that is {from} cannot become {to}")]
    NoWay {
        /// Where it stands.
        from: BillStatus,
        /// Where it was to go.
        to: BillStatus,
    },
    /// Money was taken for it.
    #[error("A bill that is {0} cannot be deleted")]
    Undeletable(BillStatus),
}

/// What a deletion does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The bill goes: nobody was sent it.
    Delete,
    /// It was sent, so it is kept as void.
    Void,
    /// It is void already.
    Nothing,
}

/// Whether a change may leave a bill `to` that stood `from`; the same again for a change of something else.
pub fn step(from: BillStatus, to: BillStatus) -> Result<(), Refused> {
    use BillStatus::{Draft, Issued, Paid, Void};
    match (from, to) {
        (Draft, Draft | Issued | Void) | (Issued, Issued | Paid | Void) => Ok(()),
        (Paid, Paid) | (Void, Void) => Err(Refused::Closed(from)),
        (Draft, Paid) | (Issued, Draft) | (Paid | Void, _) => Err(Refused::NoWay { from, to }),
    }
}

/// What deleting a bill does where it stands.
pub fn removal(from: BillStatus) -> Result<Removal, Refused> {
    match from {
        BillStatus::Draft => Ok(Removal::Delete),
        BillStatus::Issued => Ok(Removal::Void),
        BillStatus::Void => Ok(Removal::Nothing),
        BillStatus::Paid => Err(Refused::Undeletable(from)),
    }
}

/// Whether the law keeps a bill although its patient is erased: whatever was sent, as tax and commercial law ask of the books
/// (GDPR Art. 17 (3) (b), for instance with § 147 AO). A draft is nobody's record.
pub fn is_kept_by_law(status: BillStatus) -> bool {
    match status {
        BillStatus::Draft => false,
        BillStatus::Issued | BillStatus::Paid | BillStatus::Void => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BillStatus::{Draft, Issued, Paid, Void};
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = BillStatus> {
        prop::sample::select(BillStatus::ALL.to_vec())
    }

    #[test]
    fn only_these_steps_are_possible() {
        let all = BillStatus::ALL.into_iter().flat_map(|from| BillStatus::ALL.map(|to| (from, to)));
        let possible: Vec<_> = all.filter(|(from, to)| step(*from, *to).is_ok()).collect();
        assert_eq!(
            possible,
            [
                (Draft, Draft),
                (Draft, Issued),
                (Draft, Void),
                (Issued, Issued),
                (Issued, Paid),
                (Issued, Void)
            ]
        );
    }

    #[test]
    fn what_was_sent_is_never_deleted() {
        assert_eq!(removal(Draft), Ok(Removal::Delete));
        assert_eq!(removal(Issued), Ok(Removal::Void));
        assert_eq!(removal(Void), Ok(Removal::Nothing));
        assert_eq!(removal(Paid), Err(Refused::Undeletable(Paid)));
    }

    proptest! {
        #[test]
        fn no_way_leads_back(path in proptest::collection::vec(any_status(), 1..12)) {
            let order = |status| BillStatus::ALL.iter().position(|other| *other == status);
            let mut stands = Draft;
            for to in path {
                if step(stands, to).is_ok() {
                    prop_assert!(order(stands) <= order(to));
                    prop_assert!(!matches!(stands, Paid | Void));
                    stands = to;
                }
            }
        }

        #[test]
        fn a_deletion_that_keeps_a_bill_takes_a_possible_step(status in any_status()) {
            if removal(status) == Ok(Removal::Void) {
                prop_assert_eq!(step(status, Void), Ok(()));
            }
            prop_assert_eq!(is_kept_by_law(status), removal(status) != Ok(Removal::Delete));
        }
    }
}
