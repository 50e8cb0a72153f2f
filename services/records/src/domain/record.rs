//! A medical record, and what makes one valid.

use chrono::NaiveDate;
use contracts::field::{self, BadField};
use contracts::id::{PatientId, RecordId};
use contracts::problem::{Faults, Problem};
use contracts::records::{MedicalRecord, RecordRequest};
use serde::{Deserialize, Serialize};

const DIAGNOSIS_CHARS_MAX: usize = 2_000;
const TREATMENT_CHARS_MAX: usize = 10_000;
const PRESCRIPTION_CHARS_MAX: usize = 500;
const PRESCRIPTIONS_MAX: usize = 100;

/// A record's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose.
    pub patient_id: PatientId,
    /// Of which day.
    pub date: NaiveDate,
    /// In plain words.
    pub diagnosis: String,
    /// In plain words.
    pub treatment: Option<String>,
    /// In plain words.
    pub prescriptions: Vec<String>,
}

impl Record {
    /// Reads a new record, and the id that the client brings if it brings one.
    pub fn create(request: &RecordRequest, today: NaiveDate) -> Result<(Option<RecordId>, Self), Problem> {
        let mut faults = Faults::new();
        let id = request.record_id.as_deref().map(RecordId::parse).transpose();
        let id = faults.take("recordId", id);
        let patient_id = faults.take("patientId", PatientId::parse(&request.patient_id));
        let content = Content {
            date: &request.date,
            diagnosis: &request.diagnosis,
            treatment: request.treatment.as_deref(),
            prescriptions: &request.prescriptions,
        };
        // Read even if there is nobody to read it for: every fault is told at once.
        let record = content.parse(patient_id, today, &mut faults);
        faults.finish(id.zip(record))
    }

    /// Reads what a change makes of this record, which shows as `current`. The ids may be there, but only as they are.
    pub fn change(
        &self,
        current: &MedicalRecord,
        changed: &MedicalRecord,
        today: NaiveDate,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        for (field, is_same) in [
            ("recordId", changed.record_id == current.record_id),
            ("patientId", changed.patient_id == current.patient_id),
            ("amendments", changed.amendments == current.amendments),
        ] {
            if !is_same {
                faults.add(field, "cannot be changed");
            }
        }
        let content = Content {
            date: &changed.date,
            diagnosis: &changed.diagnosis,
            treatment: changed.treatment.as_deref(),
            prescriptions: &changed.prescriptions,
        };
        let record = content.parse(Some(self.patient_id.clone()), today, &mut faults);
        faults.finish(record)
    }

    /// As the API shows it, but for its amendments.
    pub fn view(&self, id: &RecordId) -> MedicalRecord {
        MedicalRecord {
            record_id: id.to_string(),
            patient_id: self.patient_id.to_string(),
            date: self.date.to_string(),
            diagnosis: self.diagnosis.clone(),
            treatment: self.treatment.clone(),
            prescriptions: self.prescriptions.clone(),
            amendments: Vec::new(),
        }
    }
}

/// What a new record and a changed one have in common, as it came in.
struct Content<'a> {
    date: &'a str,
    diagnosis: &'a str,
    treatment: Option<&'a str>,
    prescriptions: &'a [String],
}

impl Content<'_> {
    fn parse(self, patient_id: Option<PatientId>, today: NaiveDate, faults: &mut Faults) -> Option<Record> {
        let date = faults.take("date", past(self.date, today));
        let diagnosis = faults.take("diagnosis", field::prose(self.diagnosis, DIAGNOSIS_CHARS_MAX));
        let treatment = self.treatment.map(|text| field::prose(text, TREATMENT_CHARS_MAX)).transpose();
        let treatment = faults.take("treatment", treatment);
        let prescriptions = field::lines(
            "prescriptions",
            self.prescriptions,
            PRESCRIPTION_CHARS_MAX,
            PRESCRIPTIONS_MAX,
            faults,
        );
        Some(Record {
            patient_id: patient_id?,
            date: date?,
            diagnosis: diagnosis?,
            treatment: treatment?,
            prescriptions: prescriptions?,
        })
    }
}

/// What was found and done lies behind us, or is of today.
fn past(text: &str, today: NaiveDate) -> Result<NaiveDate, BadField> {
    let date = field::date(text)?;
    if date > today { Err(BadField::new("must not be in the future")) } else { Ok(date) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Days;
    use proptest::prelude::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()
    }

    fn documents() -> RecordRequest {
        serde_json::from_str(
            r#"{"recordId":"rec001","patientId":"12345","date":"2024-08-01","diagnosis":"Flu",
                "treatment":"Rest and hydration","prescriptions":["Tylenol"]}"#,
        )
        .unwrap()
    }

    fn faults(problem: Problem) -> Vec<String> {
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn the_documents_record_reads_back_as_it_was_given() {
        let (id, record) = Record::create(&documents(), today()).unwrap();
        let view = serde_json::to_value(record.view(&id.unwrap())).unwrap();
        assert_eq!(view, serde_json::to_value(documents()).unwrap());
    }

    #[test]
    fn treatment_and_prescriptions_may_be_left_out() {
        let bare = RecordRequest { treatment: None, prescriptions: Vec::new(), ..documents() };
        assert!(Record::create(&bare, today()).is_ok());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = RecordRequest {
            record_id: Some("a/b".to_owned()),
            patient_id: String::new(),
            date: "2024-02-30".to_owned(),
            diagnosis: " ".to_owned(),
            treatment: Some("x".repeat(TREATMENT_CHARS_MAX + 1)),
            prescriptions: vec!["Tylenol".to_owned(), "\0".to_owned()],
        };
        assert_eq!(
            faults(Record::create(&bad, today()).unwrap_err()),
            ["recordId", "patientId", "date", "diagnosis", "treatment", "prescriptions[1]"]
        );
    }

    #[test]
    fn the_ids_cannot_be_changed() {
        let (id, record) = Record::create(&documents(), today()).unwrap();
        let current = record.view(&id.unwrap());
        let changed = MedicalRecord {
            record_id: "other".to_owned(),
            patient_id: "67890".to_owned(),
            ..current.clone()
        };
        assert_eq!(
            faults(record.change(&current, &changed, today()).unwrap_err()),
            ["recordId", "patientId"]
        );
        assert_eq!(record.change(&current, &current, today()).unwrap(), record);
    }

    proptest! {
        #[test]
        fn no_record_is_of_a_day_to_come(days in 0..20_000_u64) {
            let of = |date: NaiveDate| {
                Record::create(&RecordRequest { date: date.to_string(), ..documents() }, today())
            };
            prop_assert!(of(today() - Days::new(days)).is_ok());
            prop_assert_eq!(faults(of(today() + Days::new(days + 1)).unwrap_err()), ["date"]);
        }

        #[test]
        fn a_kept_record_reads_back_as_it_was(diagnosis in "[\\PC\n]{1,50}", prescription in "\\PC{1,50}") {
            let request = RecordRequest { diagnosis, prescriptions: vec![prescription], ..documents() };
            if let Ok((_, record)) = Record::create(&request, today()) {
                let json = serde_json::to_vec(&record).unwrap();
                prop_assert_eq!(serde_json::from_slice::<Record>(&json).unwrap(), record);
            }
        }
    }
}
