//! What a provider is found by: the terms that stand in the index, and those that a search asks for.

use contracts::field;
use contracts::problem::{Faults, Problem};
use contracts::providers::ProviderFilter;
use db::Term;
use http_kit::page::Window;

use super::provider::Provider;

/// Longer than any specialization.
const SPECIALIZATION_CHARS_MAX: usize = 200;

/// The sort key of the providers' list: newest first.
pub type Key = (chrono::DateTime<chrono::Utc>, String);

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// All of these must be found.
    pub terms: Vec<Term>,
    /// The stretch of the list.
    pub window: Window<Key>,
}

/// Everything that a provider is found by.
pub fn terms_of(provider: &Provider) -> Vec<Term> {
    let mut terms = vec![specialization(&provider.specialization)];
    terms.extend(Term::of_words("name", &provider.name));
    terms
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &ProviderFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let mut terms = Vec::new();
        if let Some(text) = &filter.specialization {
            let line = faults.take("specialization", field::line(text, SPECIALIZATION_CHARS_MAX));
            terms.extend(line.map(|line| specialization(&line)));
        }
        if let Some(name) = &filter.name {
            terms.extend(Term::sought_words("name", name, &mut faults));
        }
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        faults.finish_query(window).map(|window| Self { terms, window })
    }

    /// Whether it is this provider who is looked for.
    pub fn finds(&self, provider: &Provider) -> bool {
        let terms = terms_of(provider);
        self.terms.iter().all(|term| terms.contains(term))
    }
}

/// The whole of it, whatever its case.
fn specialization(text: &str) -> Term {
    Term::new("specialization", text.to_lowercase())
}
