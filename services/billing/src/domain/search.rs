//! Which bills a list holds.

use contracts::bills::{BillFilter, BillStatus};
use contracts::id::PatientId;
use contracts::problem::{Faults, Problem};
use http_kit::page::{Newest, Window};

/// A list of bills, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Of this patient alone.
    pub patient_id: Option<PatientId>,
    /// Where they stand.
    pub status: Option<BillStatus>,
    /// The stretch of the list.
    pub window: Window<Newest>,
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &BillFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient_id =
            faults.take("patientId", filter.patient_id.as_deref().map(PatientId::parse).transpose());
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        faults.finish_query(patient_id.zip(window)).map(|(patient_id, window)| Self {
            patient_id,
            status: filter.status,
            window,
        })
    }

    /// The same list, but of this patient alone; `None` if it was of another.
    #[must_use]
    pub fn only_of(self, patient: PatientId) -> Option<Self> {
        let fits = self.patient_id.as_ref().is_none_or(|asked| *asked == patient);
        fits.then_some(Self { patient_id: Some(patient), ..self })
    }
}

#[cfg(test)]
mod tests {
    use contracts::problem::ProblemCode;

    use super::*;

    #[test]
    fn unknown_forms_are_faults_of_the_query() {
        let filter = BillFilter {
            patient_id: Some("../x".to_owned()),
            limit: Some(0),
            cursor: Some("x".to_owned()),
            ..BillFilter::default()
        };
        let problem = Search::parse(&filter).unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidQuery);
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["patientId", "limit", "cursor"]);
    }

    #[test]
    fn a_patients_own_list_is_never_anothers() {
        let search = |patient: Option<&str>| {
            let filter = BillFilter { patient_id: patient.map(str::to_owned), ..BillFilter::default() };
            Search::parse(&filter).unwrap()
        };
        let own = PatientId::parse("12345").unwrap();
        assert_eq!(search(None).only_of(own.clone()), Some(search(Some("12345"))));
        assert_eq!(search(Some("67890")).only_of(own), None);
    }
}
