//! What makes a bill valid: read from what came in, every fault told at once.

use contracts::bills::{self as wire, BillRequest, BillStatus, InsuranceClaim, ServiceLine};
use contracts::field::{self, BadField};
use contracts::id::{BillId, PatientId};
use contracts::money::Amount;
use contracts::problem::{Faults, Problem};

use super::bill::{Bill, Charge, Claim};

const CHARGES_MAX: usize = 500;
const SERVICE_ID_CHARS_MAX: usize = 64;
const DESCRIPTION_CHARS_MAX: usize = 500;
const INSURER_CHARS_MAX: usize = 200;

impl Bill {
    /// Reads a new bill, and the id that the client brings if it brings one.
    pub fn create(request: &BillRequest) -> Result<(Option<BillId>, Self), Problem> {
        let mut faults = Faults::new();
        let id = request.bill_id.as_deref().map(BillId::parse).transpose();
        let id = faults.take("billId", id);
        let patient_id = faults.take("patientId", PatientId::parse(&request.patient_id));
        let content =
            content(&request.services, request.insurance_claim.as_ref(), request.total_amount, &mut faults);
        let status = request.status.unwrap_or(BillStatus::Issued);
        if matches!(status, BillStatus::Paid | BillStatus::Void) {
            faults.add("status", "must be Draft or Issued on a new bill");
        }
        let bill = patient_id.zip(content).map(|(patient_id, (charges, claim))| Self {
            patient_id,
            charges,
            claim,
            total: request.total_amount,
            status,
        });
        faults.finish(id.zip(bill))
    }

    /// Reads what a change makes of this bill, which shows as `current`. What cannot be changed may be there, but only as it is.
    pub fn change(&self, current: &wire::Bill, changed: &wire::Bill) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        for (field, is_same) in [
            ("billId", changed.bill_id == current.bill_id),
            ("patientId", changed.patient_id == current.patient_id),
            ("currency", changed.currency == current.currency),
            ("restricted", changed.restricted == current.restricted),
        ] {
            if !is_same {
                faults.add(field, "cannot be changed");
            }
        }
        let content =
            content(&changed.services, changed.insurance_claim.as_ref(), changed.total_amount, &mut faults);
        let bill = content.map(|(charges, claim)| Self {
            patient_id: self.patient_id.clone(),
            charges,
            claim,
            total: changed.total_amount,
            status: changed.status,
        });
        faults.finish(bill)
    }
}

fn content(
    services: &[ServiceLine],
    claim: Option<&InsuranceClaim>,
    total: Amount,
    faults: &mut Faults,
) -> Option<(Vec<Charge>, Option<Claim>)> {
    let charges = charges(services, faults);
    let sum = charges.as_ref().map(|charges| Amount::sum(charges.iter().map(|charge| charge.amount)));
    // While a charge is wrong, nobody can say what the total should be.
    if sum.is_some_and(|sum| sum != Some(total)) {
        faults.add("totalAmount", "must be the sum of the services' amounts");
    }
    let claim = match claim {
        Some(claim) => parse_claim(claim, sum.flatten(), faults).map(Some),
        None => Some(None),
    };
    charges.zip(claim)
}

fn charges(services: &[ServiceLine], faults: &mut Faults) -> Option<Vec<Charge>> {
    if !(1..=CHARGES_MAX).contains(&services.len()) {
        faults.add("services", format_args!("must have 1 to {CHARGES_MAX} entries"));
        return None;
    }
    let parsed: Vec<_> = services.iter().enumerate().map(|(at, line)| charge(at, line, faults)).collect();
    parsed.into_iter().collect()
}

fn charge(at: usize, line: &ServiceLine, faults: &mut Faults) -> Option<Charge> {
    let mut take = |member: &str, parsed| faults.take(&format!("services[{at}].{member}"), parsed);
    let service_id = take("serviceId", field::line(&line.service_id, SERVICE_ID_CHARS_MAX));
    let description = take("description", field::line(&line.description, DESCRIPTION_CHARS_MAX));
    let price =
        if line.amount.is_negative() { Err(BadField::new("must not be negative")) } else { Ok(line.amount) };
    let amount = faults.take(&format!("services[{at}].amount"), price);
    Some(Charge { service_id: service_id?, description: description?, amount: amount? })
}

/// What the charges sum to is the most that can be claimed, whatever the total says.
fn parse_claim(claim: &InsuranceClaim, sum: Option<Amount>, faults: &mut Faults) -> Option<Claim> {
    let insurer = field::line(&claim.insurance_provider, INSURER_CHARS_MAX);
    let insurer = faults.take("insuranceClaim.insuranceProvider", insurer);
    let amount = if claim.claim_amount <= Amount::ZERO {
        Err(BadField::new("must be more than zero"))
    } else if sum.is_some_and(|sum| claim.claim_amount > sum) {
        Err(BadField::new("must be at most totalAmount"))
    } else {
        Ok(claim.claim_amount)
    };
    let amount = faults.take("insuranceClaim.claimAmount", amount);
    Some(Claim { insurer: insurer?, amount: amount? })
}

#[cfg(test)]
mod tests {
    use super::super::bill::Heading;
    use super::*;
    use proptest::prelude::*;

    const DOCUMENTS: &str = r#"{"billId":"bill789","patientId":"12345",
        "services":[{"serviceId":"srv001","description":"Consultation","amount":100.00},
                    {"serviceId":"srv002","description":"Lab Tests","amount":50.00}],
        "insuranceClaim":{"insuranceProvider":"HealthInsure","claimAmount":75.00},"totalAmount":150.00,"status":"Issued"}"#;

    fn documents() -> BillRequest {
        serde_json::from_str(DOCUMENTS).unwrap()
    }

    fn view(bill: &Bill) -> wire::Bill {
        let id = BillId::parse("bill789").unwrap();
        bill.view(Heading { id: &id, currency: "EUR", restricted: false })
    }

    fn faults(problem: Problem) -> Vec<String> {
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn the_documents_bill_reads_back_as_it_was_given() {
        let (id, bill) = Bill::create(&documents()).unwrap();
        assert_eq!(id, Some(BillId::parse("bill789").unwrap()));
        let view = view(&bill);
        assert_eq!(
            (view.services, view.insurance_claim),
            (documents().services, documents().insurance_claim)
        );
        assert_eq!((view.total_amount, view.status), (documents().total_amount, BillStatus::Issued));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut bad = documents();
        bad.bill_id = Some("a/b".to_owned());
        bad.patient_id = String::new();
        bad.services[0].service_id = " ".to_owned();
        bad.services[1].amount = Amount::from_minor(-1).unwrap();
        bad.insurance_claim =
            Some(InsuranceClaim { insurance_provider: "\0".to_owned(), claim_amount: Amount::ZERO });
        bad.status = Some(BillStatus::Paid);
        assert_eq!(
            faults(Bill::create(&bad).unwrap_err()),
            [
                "billId",
                "patientId",
                "services[0].serviceId",
                "services[1].amount",
                "insuranceClaim.insuranceProvider",
                "insuranceClaim.claimAmount",
                "status"
            ]
        );
    }

    #[test]
    fn what_cannot_be_changed_is_refused_by_name() {
        let (_, bill) = Bill::create(&documents()).unwrap();
        let current = view(&bill);
        let mut changed = current.clone();
        changed.bill_id = "other".to_owned();
        changed.patient_id = "67890".to_owned();
        changed.currency = "USD".to_owned();
        changed.restricted = true;
        assert_eq!(
            faults(bill.change(&current, &changed).unwrap_err()),
            ["billId", "patientId", "currency", "restricted"]
        );
        assert_eq!(bill.change(&current, &current).unwrap(), bill);
    }

    #[test]
    fn the_same_service_may_be_charged_twice() {
        let mut twice = documents();
        twice.services[1] = twice.services[0].clone();
        twice.total_amount = "200".parse().unwrap();
        assert!(Bill::create(&twice).is_ok());
    }

    /// A request for these amounts, in hundredths.
    fn request(minors: &[i64], total: i64, claim: Option<i64>) -> BillRequest {
        let amount = |minor| Amount::from_minor(minor).unwrap();
        let line = |minor: &i64| ServiceLine { amount: amount(*minor), ..documents().services[0].clone() };
        let insurance_claim = |minor| InsuranceClaim {
            insurance_provider: "HealthInsure".to_owned(),
            claim_amount: amount(minor),
        };
        BillRequest {
            services: minors.iter().map(line).collect(),
            insurance_claim: claim.map(insurance_claim),
            total_amount: amount(total),
            ..documents()
        }
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_and_nothing_else(
            minors in proptest::collection::vec(0..1_000_000_i64, 1..20), off in -3..=3_i64,
        ) {
            let sum: i64 = minors.iter().sum();
            let read = Bill::create(&request(&minors, sum + off, None));
            if off == 0 {
                prop_assert_eq!(read.unwrap().1.total.minor(), sum);
            } else {
                prop_assert_eq!(faults(read.unwrap_err()), ["totalAmount"]);
            }
        }

        #[test]
        fn a_claim_is_more_than_zero_and_at_most_the_total(total in 0..10_000_i64, claim in -10..10_010_i64) {
            let read = Bill::create(&request(&[total], total, Some(claim)));
            if (1..=total).contains(&claim) {
                prop_assert!(read.is_ok());
            } else {
                prop_assert_eq!(faults(read.unwrap_err()), ["insuranceClaim.claimAmount"]);
            }
        }

        #[test]
        fn no_sum_overflows(count in 1..=CHARGES_MAX, total in 0..=Amount::MAX.minor()) {
            let read = Bill::create(&request(&vec![Amount::MAX.minor(); count], total, None));
            prop_assert_eq!(read.is_ok(), count == 1 && total == Amount::MAX.minor());
        }

        #[test]
        fn money_comes_out_as_the_text_that_went_in(whole in 0..=99_999_999_u64, cents in 0..100_u64) {
            let text = format!("{whole}.{cents:02}");
            let body = format!(
                r#"{{"patientId":"1","services":[{{"serviceId":"s","description":"d","amount":{text}}}],"totalAmount":{text}}}"#
            );
            let request = serde_json::from_str(&body).unwrap();
            let (_, bill) = Bill::create(&request).unwrap();
            let out = serde_json::to_string(&view(&bill)).unwrap();
            let (amount, total) = (format!("\"amount\":{text}}}"), format!("\"totalAmount\":{text},"));
            prop_assert!(out.contains(&amount) && out.contains(&total), "{out}");
        }
    }
}
