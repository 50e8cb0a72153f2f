//! What a patient is found by: the terms that stand in the index, and those that a search asks for.

use contracts::field::{Email, Phone, date, normalised_words};
use contracts::patients::PatientFilter;
use contracts::problem::{Faults, Problem, ProblemCode};
use http_kit::page::Window;

use super::patient::Patient;

/// The beginnings of a name's words that are found: so many letters long.
const PREFIX_CHARS: std::ops::RangeInclusive<usize> = 3..=16;
/// A search may have so many terms: its statement has a place for each.
pub const TERMS_MAX: usize = 6;

/// A field and a normalised value; the store hashes both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// The field's name in the index.
    pub field: &'static str,
    /// The value as it is compared.
    pub value: String,
}

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
    let mut terms = vec![Term { field: "dob", value: patient.dob.to_string() }];
    terms.extend(
        patient.contact.phone.as_ref().map(|phone| Term { field: "phone", value: phone.to_string() }),
    );
    terms.extend(
        patient.contact.email.as_ref().map(|email| Term { field: "email", value: email.normalised() }),
    );
    for word in normalised_words(&patient.name) {
        let length = word.chars().count();
        let beginnings = PREFIX_CHARS.filter(|chars| *chars < length);
        terms.extend(beginnings.map(|chars| name_term(word.chars().take(chars).collect())));
        terms.push(name_term(word));
    }
    terms.sort_by(|a, b| (a.field, &a.value).cmp(&(b.field, &b.value)));
    terms.dedup();
    terms
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &PatientFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let mut terms = Vec::new();
        if let Some(dob) = &filter.dob {
            terms.extend(
                faults.take("dob", date(dob)).map(|dob| Term { field: "dob", value: dob.to_string() }),
            );
        }
        if let Some(phone) = &filter.phone {
            terms.extend(
                faults
                    .take("phone", Phone::parse(phone))
                    .map(|phone| Term { field: "phone", value: phone.to_string() }),
            );
        }
        if let Some(email) = &filter.email {
            terms.extend(
                faults
                    .take("email", Email::parse(email))
                    .map(|email| Term { field: "email", value: email.normalised() }),
            );
        }
        if let Some(name) = &filter.name {
            terms.extend(name_terms(name, TERMS_MAX - terms.len(), &mut faults));
        }
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        faults
            .finish(window)
            .map(|window| Self { terms, window })
            .map_err(|problem| Problem { errors: problem.errors, ..Problem::new(ProblemCode::InvalidQuery) })
    }
}

/// The words of a name that is searched for: each a whole word or a beginning, both of which stand in the index.
fn name_terms(name: &str, room: usize, faults: &mut Faults) -> Vec<Term> {
    let words = normalised_words(name);
    if words.is_empty() || words.len() > room {
        faults.add("name", format_args!("must have 1 to {room} words"));
        return Vec::new();
    }
    words.into_iter().map(name_term).collect()
}

fn name_term(value: String) -> Term {
    Term { field: "name", value }
}

#[cfg(test)]
mod tests {
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
