//! What a provider is found by: the terms that stand in the index, and those that a search asks for.

use contracts::field;
use contracts::problem::{Faults, Problem};
use contracts::providers::ProviderFilter;
use db::Term;
use http_kit::page::Window;

use super::language;
use super::provider::{Provider, taxonomy_code};

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
    terms.extend(provider.taxonomy_code.iter().map(|code| Term::new("taxonomyCode", code)));
    terms.extend(provider.languages.iter().flat_map(|tag| {
        [tag.as_str(), language::primary(tag)].map(|language| Term::new("language", language.to_lowercase()))
    }));
    for location in &provider.locations {
        terms.extend(Term::of_words("location", &location.name));
        terms.extend(location.address.iter().flat_map(|address| Term::of_words("location", address)));
    }
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
        if let Some(code) = &filter.taxonomy_code {
            let code = faults.take("taxonomyCode", taxonomy_code(code));
            terms.extend(code.map(|code| Term::new("taxonomyCode", code)));
        }
        if let Some(location) = &filter.location {
            terms.extend(Term::sought_words("location", location, &mut faults));
        }
        if let Some(tag) = &filter.language {
            let tag = faults.take("language", language::check(tag));
            terms.extend(tag.map(|tag| Term::new("language", tag.to_lowercase())));
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
