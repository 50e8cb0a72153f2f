//! The invented clinic as data: drawn from a fixed seed, so it is the same every time.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use contracts::ambient::Random;
use contracts::appointments::{AppointmentRequest, AppointmentStatus};
use contracts::bills::{BillRequest, BillStatus, InsuranceClaim, ServiceLine};
use contracts::money::Amount;
use contracts::patients::{ContactInfo, MedicalHistory, PatientRegistration};
use contracts::providers::{Day, DayAvailability, ProviderRequest};
use contracts::records::RecordRequest;

use super::people::{ALLERGIES, CONDITIONS, FAMILY, INSURERS, PROVIDERS, Practice, practice_of};

const SEED: u64 = 0x0C11_111C;
const PATIENTS: usize = 300;
const DAYS_BACK: u64 = 56;
const DAYS_AHEAD: u64 = 35;
/// Each provider sees so many a day; more would leave no free slot to book.
const VISITS_A_DAY: u64 = 3;
const DAYS: [Day; 5] = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday];
/// Half-hours in the stated hours, 09:00-12:00 and 14:00-17:00.
const TIMES: [&str; 12] = [
    "09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "14:00", "14:30", "15:00", "15:30", "16:00",
    "16:30",
];

/// Everything that is loaded.
pub(super) struct Clinic {
    pub(super) providers: Vec<ProviderRequest>,
    pub(super) patients: Vec<PatientRegistration>,
    pub(super) visits: Vec<Visit>,
    pub(super) records: Vec<RecordRequest>,
    pub(super) bills: Vec<BillRequest>,
    /// The ids of those that are paid by now.
    pub(super) paid: Vec<String>,
}

/// An appointment, and what became of it.
pub(super) struct Visit {
    pub(super) booking: AppointmentRequest,
    pub(super) then: &'static [AppointmentStatus],
    pub(super) cancelled: bool,
}

/// The clinic around a day.
pub(super) fn clinic(today: NaiveDate) -> Clinic {
    let draw = Draw(Random::seeded(SEED));
    let mut clinic = Clinic {
        providers: (0..PROVIDERS.len()).map(provider).collect(),
        patients: (0..PATIENTS).map(|at| patient(&draw, at)).collect(),
        visits: Vec::new(),
        records: Vec::new(),
        bills: Vec::new(),
        paid: Vec::new(),
    };
    let first = today.checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(today);
    let days = first.iter_days().take(usize::try_from(DAYS_BACK + DAYS_AHEAD).unwrap_or_default());
    for day in days.filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)) {
        fill_day(&draw, day, today, &mut clinic);
    }
    clinic
}

fn fill_day(draw: &Draw, day: NaiveDate, today: NaiveDate, clinic: &mut Clinic) {
    for provider in 0..PROVIDERS.len() {
        for visit in 0..VISITS_A_DAY {
            // Each visit has a third of the day and a third of the provider's patients to itself: nobody comes twice a day.
            let third = TIMES.len() as u64 / VISITS_A_DAY;
            let time = TIMES[draw.index(third) + usize::try_from(visit * third).unwrap_or_default()];
            let each = PATIENTS / PROVIDERS.len();
            let share = each as u64 / VISITS_A_DAY;
            let first = provider * each + usize::try_from(visit * share).unwrap_or_default();
            let patient = patient_id(first + draw.index(share));
            let number = clinic.visits.len() + 1;
            let outcome = if day >= today { Outcome::Ahead } else { draw.outcome() };
            if outcome == Outcome::Seen {
                note(draw, practice_of(provider), &patient, day, number, clinic);
            }
            clinic.visits.push(Visit {
                booking: booking(number, patient, provider, day, time),
                then: match outcome {
                    Outcome::Seen => &[AppointmentStatus::CheckedIn, AppointmentStatus::Completed],
                    Outcome::Missed => &[AppointmentStatus::NoShow],
                    Outcome::Cancelled | Outcome::Ahead => &[],
                },
                cancelled: outcome == Outcome::Cancelled,
            });
        }
    }
}

fn booking(
    number: usize,
    patient_id: String,
    provider: usize,
    day: NaiveDate,
    time: &str,
) -> AppointmentRequest {
    AppointmentRequest {
        appointment_id: Some(format!("demo-apt-{number:05}")),
        patient_id,
        provider_id: provider_id(provider),
        appointment_date: day.to_string(),
        time_slot: time.to_owned(),
        duration_minutes: None,
        status: None,
        reason: None,
        visit_type: None,
        hold_id: None,
        referral_id: None,
        location_id: None,
    }
}

/// The record and the bill of a visit.
fn note(draw: &Draw, practice: &Practice, patient: &str, day: NaiveDate, number: usize, clinic: &mut Clinic) {
    let (diagnosis, treatment, prescription, service, minor) = *draw.one(practice.findings);
    clinic.records.push(RecordRequest {
        record_id: Some(format!("demo-rec-{number:05}")),
        patient_id: patient.to_owned(),
        date: day.to_string(),
        diagnosis: diagnosis.to_owned(),
        treatment: Some(treatment.to_owned()),
        prescriptions: Some(prescription)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .into_iter()
            .collect(),
    });
    let mut services = vec![line("consult", service, minor)];
    if draw.chance(30) {
        services.push(line("lab", "Laboratory tests", 3_450));
    }
    let total = Amount::sum(services.iter().map(|line| line.amount)).unwrap_or_default();
    let claim = Amount::from_minor(total.minor() / 2).unwrap_or_default();
    let (bill_id, issued) = (format!("demo-bill-{number:05}"), draw.chance(90));
    if issued && draw.chance(60) {
        clinic.paid.push(bill_id.clone());
    }
    clinic.bills.push(BillRequest {
        bill_id: Some(bill_id),
        patient_id: patient.to_owned(),
        services,
        insurance_claim: draw.chance(70).then(|| InsuranceClaim {
            insurance_provider: (*draw.one(&INSURERS)).to_owned(),
            claim_amount: claim,
        }),
        total_amount: total,
        status: Some(if issued { BillStatus::Issued } else { BillStatus::Draft }),
    });
}

fn line(id: &str, description: &str, minor: i64) -> ServiceLine {
    ServiceLine {
        service_id: id.to_owned(),
        description: description.to_owned(),
        amount: Amount::from_minor(minor).unwrap_or_default(),
    }
}

fn provider_id(at: usize) -> String {
    format!("demo-prov-{:02}", at + 1)
}

fn patient_id(at: usize) -> String {
    format!("demo-pat-{:04}", at + 1)
}

fn provider(at: usize) -> ProviderRequest {
    let (name, specialization) = PROVIDERS[at];
    // All see patients in the hours of TIMES; some begin earlier, some end later.
    let hours =
        [["09:00-12:00", "14:00-17:00"], ["08:00-12:00", "14:00-17:00"], ["09:00-12:30", "13:30-18:00"]];
    let slots = hours[at % hours.len()].map(str::to_owned).to_vec();
    ProviderRequest {
        provider_id: Some(provider_id(at)),
        name: name.to_owned(),
        specialization: specialization.to_owned(),
        // No mail address: past visits would each bring the provider a notice of a booking in the past.
        contact_info: ContactInfo { phone: Some(format!("+1555{:07}", 900_000 + at)), email: None },
        availability: DAYS
            .into_iter()
            .map(|day| DayAvailability { day, slots: slots.clone(), location_id: None })
            .collect(),
        time_zone: None,
        locations: Vec::new(),
        visit_types: Vec::new(),
        overrides: Vec::new(),
        languages: Vec::new(),
        taxonomy_code: None,
    }
}

fn patient(draw: &Draw, at: usize) -> PatientRegistration {
    let practice = practice_of(at / (PATIENTS / PROVIDERS.len()));
    let (oldest, years) = practice.ages;
    let born = NaiveDate::from_ymd_opt(oldest, 1, 1).unwrap_or_default();
    let name = format!("{} {}", draw.one(practice.given), draw.one(&FAMILY));
    let some = |from: &[&str]| {
        if draw.chance(33) { vec![(*draw.one(from)).to_owned()] } else { Vec::new() }
    };
    PatientRegistration {
        patient_id: Some(patient_id(at)),
        name: name.clone(),
        dob: born.checked_add_days(Days::new(draw.0.below(years * 365))).unwrap_or(born).to_string(),
        contact_info: ContactInfo {
            phone: Some(format!("+1555{:07}", 100_000 + at)),
            email: Some(format!("{}@example.com", name.to_lowercase().replace(' ', "."))),
        },
        medical_history: MedicalHistory {
            allergies: some(&ALLERGIES),
            chronic_conditions: some(&CONDITIONS),
        },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ahead,
    Seen,
    Missed,
    Cancelled,
}

/// Draws from a fixed seed.
struct Draw(Random);

impl Draw {
    fn index(&self, below: u64) -> usize {
        usize::try_from(self.0.below(below)).unwrap_or_default()
    }

    fn one<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len() as u64)]
    }

    fn chance(&self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    fn outcome(&self) -> Outcome {
        match self.0.below(100) {
            0..=5 => Outcome::Missed,
            6..=15 => Outcome::Cancelled,
            _ => Outcome::Seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()
    }

    #[test]
    fn the_clinic_is_the_same_every_time() {
        let (one, other) = (clinic(today()), clinic(today()));
        assert_eq!(one.patients, other.patients);
        assert_eq!(one.bills, other.bills);
        assert!(
            one.visits.iter().map(|visit| &visit.booking).eq(other.visits.iter().map(|visit| &visit.booking))
        );
    }

    #[test]
    fn the_clinic_has_the_size_it_promises() {
        let clinic = clinic(today());
        assert_eq!((clinic.providers.len(), clinic.patients.len()), (12, 300));
        assert!(clinic.visits.len() > 2_000 && clinic.records.len() > 1_000 && clinic.bills.len() > 1_000);
    }

    #[test]
    fn nobody_is_booked_twice_for_one_time() {
        let clinic = clinic(today());
        let mut taken = HashSet::new();
        for Visit { booking, .. } in &clinic.visits {
            for who in [&booking.patient_id, &booking.provider_id] {
                assert!(taken.insert((who, &booking.appointment_date, &booking.time_slot)), "{booking:?}");
            }
        }
    }
}
