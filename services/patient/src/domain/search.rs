//! What a patient is found by: the terms that stand in the index, and those that a search asks for.

use chrono::NaiveDate;
use contracts::field::{Email, Phone, date};
use contracts::patients::PatientFilter;
use contracts::problem::{Faults, Problem};
use db::Term;
use http_kit::page::Window;

use super::patient::Patient;

/// The field of the words of a name.
const NAME: &str = "name";

/// The sort key of the patients' list: newest first.
pub type Key = (chrono::DateTime<chrono::Utc>, String);

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Whoever is found has all of these.
    pub terms: Vec<Term>,
    /// And was born then.
    pub dob: Option<NaiveDate>,
    /// The stretch of the list.
    pub window: Window<Key>,
}

/// Everything that a patient is found by. A birth date stands beside a word of the name alone: there are few days, and more are born on one
/// than on another.
pub fn terms_of(patient: &Patient) -> Vec<Term> {
    let mut terms = terms_asked_for(patient);
    let births: Vec<_> =
        terms.iter().filter(|term| term.field == NAME).map(|word| born(word, patient.dob)).collect();
    terms.extend(births);
    terms
}

/// Those of them that a search asks for by themselves.
fn terms_asked_for(patient: &Patient) -> Vec<Term> {
    let mut terms = Term::of_words(NAME, &patient.name);
    terms.extend(patient.contact.phone.as_ref().map(|phone| Term::unique("phone", phone.as_str())));
    terms.extend(patient.contact.email.as_ref().map(|email| Term::unique("email", email.normalised())));
    terms
}

fn born(word: &Term, dob: NaiveDate) -> Term {
    word.together("name+dob", &dob.to_string())
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &PatientFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let mut terms = Vec::new();
        let dob = filter.dob.as_deref().and_then(|dob| faults.take("dob", date(dob)));
        if dob.is_some() && [&filter.name, &filter.phone, &filter.email].iter().all(|other| other.is_none()) {
            faults.add("dob", "needs name, phone or email beside it");
        }
        if let Some(phone) = &filter.phone {
            let phone = faults.take("phone", Phone::parse(phone));
            terms.extend(phone.map(|phone| Term::unique("phone", phone.as_str())));
        }
        if let Some(email) = &filter.email {
            let email = faults.take("email", Email::parse(email));
            terms.extend(email.map(|email| Term::unique("email", email.normalised())));
        }
        if let Some(name) = &filter.name {
            terms.extend(Term::sought_words(NAME, name, &mut faults));
        }
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        faults.finish_query(window).map(|window| Self { terms, dob, window })
    }

    /// What stands in the index of whoever is found: what is asked for, words of a name together with the birth date if there is one.
    pub fn looked_up(&self) -> Vec<Term> {
        let looked_up = |term: &Term| match self.dob {
            Some(dob) if term.field == NAME => born(term, dob),
            _ => term.clone(),
        };
        self.terms.iter().map(looked_up).collect()
    }

    /// Whether it is this patient who is looked for.
    pub fn finds(&self, patient: &Patient) -> bool {
        let terms = terms_asked_for(patient);
        self.dob.is_none_or(|dob| dob == patient.dob) && self.terms.iter().all(|term| terms.contains(term))
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

    #[test]
    fn a_birth_date_alone_is_not_looked_for() {
        let by = |filter: PatientFilter| {
            Search::parse(&PatientFilter { dob: Some("1980-01-01".to_owned()), ..filter })
        };
        let problem = by(PatientFilter::default()).unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidQuery);
        assert_eq!(problem.errors[0].field, "dob");
        assert!(problem.errors[0].message.contains("name, phone or email"), "{problem:?}");
        let search =
            by(PatientFilter { name: Some("maria".to_owned()), ..PatientFilter::default() }).unwrap();
        assert_eq!(search.looked_up(), [Term::new("name+dob", "mar 1980-01-01")]);
    }
}
