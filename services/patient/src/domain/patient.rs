//! A patient, and what makes one valid.

use chrono::NaiveDate;
use contracts::field::{self, BadField, Contact};
use contracts::id::PatientId;
use contracts::patients::{self as wire, MedicalHistory, PatientRegistration};
use contracts::problem::{Faults, Problem};
use http_kit::View;
use serde::{Deserialize, Serialize};

const NAME_CHARS_MAX: usize = 200;
const HISTORY_ENTRY_CHARS_MAX: usize = 500;
const HISTORY_ENTRIES_MAX: usize = 200;

/// A patient's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    /// Full name.
    pub name: String,
    /// Date of birth.
    pub dob: NaiveDate,
    /// How they are reached.
    pub contact: Contact,
    /// Allergies, in plain words.
    pub allergies: Vec<String>,
    /// Chronic conditions, in plain words.
    pub chronic_conditions: Vec<String>,
}

impl Patient {
    /// Reads a registration: the patient, and the id that the client brings if it brings one.
    pub fn register(
        request: &PatientRegistration,
        today: NaiveDate,
    ) -> Result<(Option<PatientId>, Self), Problem> {
        let mut faults = Faults::new();
        let id = request.patient_id.as_deref().map(PatientId::parse).transpose();
        let id = faults.take("patientId", id);
        let patient = Self::parse(
            &request.name,
            &request.dob,
            &request.contact_info,
            &request.medical_history,
            today,
            &mut faults,
        );
        faults.finish(id.zip(patient))
    }

    /// Reads what a change makes of the present patient. The id may be there, but only as it is.
    pub fn change(
        current: &wire::Patient,
        changed: &wire::Patient,
        today: NaiveDate,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        if changed.patient_id != current.patient_id {
            faults.add("patientId", "cannot be changed");
        }
        let patient = Self::parse(
            &changed.name,
            &changed.dob,
            &changed.contact_info,
            changed.medical_history.as_ref().unwrap_or(&MedicalHistory::default()),
            today,
            &mut faults,
        );
        faults.finish(patient)
    }

    fn parse(
        name: &str,
        dob: &str,
        contact_info: &wire::ContactInfo,
        history: &MedicalHistory,
        today: NaiveDate,
        faults: &mut Faults,
    ) -> Option<Self> {
        let name = faults.take("name", field::line(name, NAME_CHARS_MAX));
        let dob = faults.take("dob", date_of_birth(dob, today));
        let contact = Contact::parse(contact_info, faults);
        let mut entries = |member: &str, entries| {
            let path = format!("medicalHistory.{member}");
            field::lines(&path, entries, HISTORY_ENTRY_CHARS_MAX, HISTORY_ENTRIES_MAX, faults)
        };
        let allergies = entries("allergies", &history.allergies);
        let chronic_conditions = entries("chronicConditions", &history.chronic_conditions);
        Some(Self {
            name: name?,
            dob: dob?,
            contact: contact?,
            allergies: allergies?,
            chronic_conditions: chronic_conditions?,
        })
    }

    /// As the API shows it.
    pub fn view(&self, id: &PatientId, view: View) -> wire::Patient {
        let history = || MedicalHistory {
            allergies: self.allergies.clone(),
            chronic_conditions: self.chronic_conditions.clone(),
        };
        wire::Patient {
            patient_id: id.to_string(),
            name: self.name.clone(),
            dob: self.dob.to_string(),
            contact_info: self.contact.to_info(),
            medical_history: view.is_whole().then(history),
        }
    }
}

fn date_of_birth(text: &str, today: NaiveDate) -> Result<NaiveDate, BadField> {
    let date = field::date(text)?;
    if date > today { Err(BadField::new("must not be in the future")) } else { Ok(date) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()
    }

    fn registration() -> PatientRegistration {
        serde_json::from_str(
            r#"{"name":"John Doe","dob":"1980-01-01","contactInfo":{"phone":"+1234567890","email":"johndoe@example.com"},
                "medicalHistory":{"allergies":["Penicillin"],"chronicConditions":["Diabetes"]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_documents_patient_reads_back_as_it_was_given() {
        let (id, patient) = Patient::register(&registration(), today()).unwrap();
        assert_eq!(id, None);
        let id = PatientId::parse("12345").unwrap();
        let view = patient.view(&id, View::Whole);
        assert_eq!(view.contact_info, registration().contact_info);
        assert_eq!(view.medical_history, Some(registration().medical_history));
        assert_eq!(patient.view(&id, View::Necessary), wire::Patient { medical_history: None, ..view });
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut bad = registration();
        bad.patient_id = Some("a/b".to_owned());
        bad.name = " ".to_owned();
        bad.dob = "2026-01-16".to_owned();
        bad.contact_info.email = Some("nobody".to_owned());
        bad.medical_history.allergies.push(String::new());
        let problem = Patient::register(&bad, today()).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["patientId", "name", "dob", "contactInfo.email", "medicalHistory.allergies[1]"]);
    }

    #[test]
    fn somebody_born_today_is_a_patient() {
        let newborn = PatientRegistration { dob: today().to_string(), ..registration() };
        assert!(Patient::register(&newborn, today()).is_ok());
    }
}
