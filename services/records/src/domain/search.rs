//! Which records a list holds.

use chrono::NaiveDate;
use contracts::field;
use contracts::id::PatientId;
use contracts::problem::{Faults, Problem};
use contracts::records::RecordFilter;
use http_kit::page::Window;

/// The sort key of the records' list: the latest day first.
pub type Key = (NaiveDate, String);

/// A list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Of this patient alone.
    pub patient_id: Option<PatientId>,
    /// Of this day or later.
    pub from: NaiveDate,
    /// Of this day or earlier.
    pub to: NaiveDate,
    /// The stretch of the list.
    pub window: Window<Key>,
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &RecordFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient_id = filter.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient_id = faults.take("patientId", patient_id);
        // No record is of a day before the first or after the last that `field::date` takes.
        let from = filter.from.as_deref().map_or_else(|| Ok(day(1900, 1, 1)), field::date);
        let to = filter.to.as_deref().map_or_else(|| Ok(day(2199, 12, 31)), field::date);
        let (from, to) = (faults.take("from", from), faults.take("to", to));
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search = patient_id.zip(from.zip(to)).zip(window);
        faults.finish_query(search).map(|((patient_id, (from, to)), window)| Self {
            patient_id,
            from,
            to,
            window,
        })
    }

    /// The same list, but of this patient alone; `None` if it was of another.
    #[must_use]
    pub fn only_of(self, patient: PatientId) -> Option<Self> {
        let fits = self.patient_id.as_ref().is_none_or(|asked| *asked == patient);
        fits.then_some(Self { patient_id: Some(patient), ..self })
    }

    /// Everything on the page sorts below this: the end of the page before, and in any case the day after [`Search::to`].
    pub fn below(&self) -> Key {
        let end = (self.to.succ_opt().unwrap_or(self.to), String::new());
        match &self.window.after {
            Some(after) if *after < end => after.clone(),
            _ => end,
        }
    }
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use contracts::problem::ProblemCode;

    use super::*;

    #[test]
    fn unknown_forms_are_faults_of_the_query() {
        let filter = RecordFilter {
            patient_id: Some("../x".to_owned()),
            from: Some("2024-02-30".to_owned()),
            to: Some("tomorrow".to_owned()),
            limit: Some(0),
            cursor: Some("x".to_owned()),
        };
        let problem = Search::parse(&filter).unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidQuery);
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["patientId", "from", "to", "limit", "cursor"]);
    }

    #[test]
    fn a_patients_own_list_is_never_anothers() {
        let search = |patient: Option<&str>| {
            let filter = RecordFilter { patient_id: patient.map(str::to_owned), ..RecordFilter::default() };
            Search::parse(&filter).unwrap()
        };
        let own = PatientId::parse("12345").unwrap();
        assert_eq!(search(None).only_of(own.clone()), Some(search(Some("12345"))));
        assert_eq!(search(Some("67890")).only_of(own), None);
    }

    #[test]
    fn no_cursor_leads_beyond_the_last_day_asked_for() {
        let filter = RecordFilter { to: Some("2024-08-01".to_owned()), ..RecordFilter::default() };
        let mut search = Search::parse(&filter).unwrap();
        let end = (day(2024, 8, 2), String::new());
        assert_eq!(search.below(), end);
        search.window.after = Some((day(2024, 9, 1), "rec001".to_owned()));
        assert_eq!(search.below(), end);
        search.window.after = Some((day(2024, 8, 1), "rec001".to_owned()));
        assert_eq!(search.below(), (day(2024, 8, 1), "rec001".to_owned()));
    }
}
