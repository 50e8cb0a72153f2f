//! A bill, and what can become of it.

use contracts::bills::{self as wire, BillStatus};
use contracts::id::{BillId, PatientId};
use contracts::money::Amount;
use serde::{Deserialize, Serialize};

use super::status::{self, Refused};

/// A bill's data: what is sealed as the row's body. Made by [`parse`](super::parse) alone, so its total is the sum of its charges
/// and its claim is within its total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Whose.
    pub patient_id: PatientId,
    /// What for. The same service may be charged twice.
    pub charges: Vec<Charge>,
    /// What an insurer is asked to pay.
    pub claim: Option<Claim>,
    /// The sum of the charges.
    pub total: Amount,
    /// Where it stands.
    pub status: BillStatus,
}

/// A service charged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The service's id in the clinic's catalogue.
    pub service_id: String,
    /// In plain words.
    pub description: String,
    /// Its price.
    pub amount: Amount,
}

/// What an insurer is asked to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The insurer.
    pub insurer: String,
    /// How much.
    pub amount: Amount,
}

/// What of a bill stands beside it: its id, the stack's currency, and whether it is restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading<'a> {
    /// The id.
    pub id: &'a BillId,
    /// ISO 4217.
    pub currency: &'a str,
    /// The patient was erased, and the law keeps the bill.
    pub restricted: bool,
}

impl Bill {
    /// What stands after a change: `None` if it changes nothing, which a closed bill allows too.
    pub fn changed_to(&self, next: Self) -> Result<Option<Self>, Refused> {
        if *self == next {
            return Ok(None);
        }
        status::step(self.status, next.status).map(|()| Some(next))
    }

    /// The same bill, taken back.
    #[must_use]
    pub fn voided(self) -> Self {
        Self { status: BillStatus::Void, ..self }
    }

    /// As the API shows it.
    pub fn view(&self, heading: Heading<'_>) -> wire::Bill {
        let line = |charge: &Charge| wire::ServiceLine {
            service_id: charge.service_id.clone(),
            description: charge.description.clone(),
            amount: charge.amount,
        };
        let claim = |claim: &Claim| wire::InsuranceClaim {
            insurance_provider: claim.insurer.clone(),
            claim_amount: claim.amount,
        };
        wire::Bill {
            bill_id: heading.id.to_string(),
            patient_id: self.patient_id.to_string(),
            services: self.charges.iter().map(line).collect(),
            insurance_claim: self.claim.as_ref().map(claim),
            total_amount: self.total,
            currency: heading.currency.to_owned(),
            status: self.status,
            restricted: heading.restricted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn bill(status: BillStatus, minor: i64) -> Bill {
        let amount = Amount::from_minor(minor).unwrap();
        let charge =
            Charge { service_id: "srv001".to_owned(), description: "Consultation".to_owned(), amount };
        Bill {
            patient_id: PatientId::parse("12345").unwrap(),
            charges: vec![charge],
            claim: None,
            total: amount,
            status,
        }
    }

    #[test]
    fn a_closed_bill_is_changed_by_nothing_but_may_be_sent_again_as_it_is() {
        for status in [BillStatus::Paid, BillStatus::Void] {
            assert_eq!(bill(status, 100).changed_to(bill(status, 100)), Ok(None));
            assert_eq!(bill(status, 100).changed_to(bill(status, 101)), Err(Refused::Closed(status)));
        }
    }

    proptest! {
        #[test]
        fn a_kept_bill_reads_back_as_it_was(minor in 0..=Amount::MAX.minor()) {
            let kept = bill(BillStatus::Issued, minor);
            let json = serde_json::to_vec(&kept).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Bill>(&json).unwrap(), kept);
        }
    }
}
