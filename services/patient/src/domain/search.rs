//! What a patient is found by: the terms that stand in the index, and those that a search asks for.

use contracts::field::{Email, Phone, date};
use contracts::patients::PatientFilter;
use contracts::problem::{Faults, Problem};
use db::{TERMS_MAX, Term};
use http_kit::page::Window;

use super::patient::Patient;

/// The sort key of the patients' list: newest first.
pub type Key = (chrono::DateTime<chrono::Utc>, String);

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// All of these must be found.
    pub terms: Vec<Term>,
    /// The stretch of the list.
    pub window: Window<Key>,
}

/// Everything that a patient is found by.
pub fn terms_of(patient: &Patient) -> Vec<Term> {
    let mut terms = vec![Term::new("dob", patient.dob.to_string())];
    terms.extend(patient.contact.phone.as_ref().map(|phone| Term::new("phone", phone.as_str())));
    terms.extend(patient.contact.email.as_ref().map(|email| Term::new("email", email.normalised())));
    terms.extend(Term::of_words("name", &patient.name));
    terms
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &PatientFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let mut terms = Vec::new();
        if let Some(dob) = &filter.dob {
            let dob = faults.take("dob", date(dob));
            terms.extend(dob.map(|dob| Term::new("dob", dob.to_string())));
        }
        if let Some(phone) = &filter.phone {
            let phone = faults.take("phone", Phone::parse(phone));
            terms.extend(phone.map(|phone| Term::new("phone", phone.as_str())));
        }
        if let Some(email) = &filter.email {
            let email = faults.take("email", Email::parse(email));
            terms.extend(email.map(|email| Term::new("email", email.normalised())));
        }
        if let Some(name) = &filter.name {
            terms.extend(Term::sought_words("name", name, TERMS_MAX - terms.len(), &mut faults));
        }
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        faults.finish_query(window).map(|window| Self { terms, window })
    }
}

#[cfg(test)]
mod tests {
    use contracts::problem::ProblemCode;

    use super::*;

    #[test]
    fn unknown_forms_are_faults_of_the_query() {
        let filter = PatientFilter {
            dob: Some("1980-13-01".to_owned()),
            phone: Some("123".to_owned()),
            name: Some("--".to_owned()),
            limit: Some(0),
            ..PatientFilter::default()
        };
        let problem = Search::parse(&filter).unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidQuery);
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["dob", "phone", "name", "limit"]);
    }
}
