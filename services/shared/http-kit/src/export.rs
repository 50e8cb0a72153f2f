//! All that a service holds of a patient, given out kind by kind and page by page ([`Routes::on_export`](crate::Routes::on_export)).
//!
//! A service names its kinds, and for each a function that gives a page of it. What every service holds is added here: who has seen the
//! patient's data, from its audit.

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::audit::{AuditSearch, PatientAccess};
use contracts::export::{ExportPage, ExportSearch};
use contracts::id::PatientId;
use contracts::page::Page;
use contracts::problem::{Faults, Problem, ProblemCode};
use db::Db;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::audit;
use crate::page::Window;
use crate::routes::Failure;

/// On one page at most: what a page takes in memory, here and where it is asked for, is bounded by it.
const ITEMS_MAX: u32 = 50;

/// What every service holds of a patient: who has seen or changed their data.
const ACCESSES: &str = "accesses";

/// A page that is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose.
    pub patient: PatientId,
    cursor: Option<String>,
}

impl Wanted {
    /// The stretch of the kind's list.
    pub fn window<K: Serialize + DeserializeOwned>(&self) -> Result<Window<K>, Problem> {
        let mut faults = Faults::new();
        let window = Window::parse(Some(ITEMS_MAX), self.cursor.as_deref(), &mut faults);
        faults.finish_query(window)
    }
}

type Given<R> = BoxFuture<'static, Result<Page<Box<RawValue>>, R>>;

struct Kind<S, R> {
    name: &'static str,
    give: Arc<dyn Fn(S, Wanted) -> Given<R> + Send + Sync>,
}

/// The kinds of what a service holds, in the order in which they are given out.
pub struct Kinds<S, R>(Vec<Kind<S, R>>);

impl<S, R> Clone for Kinds<S, R> {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|Kind { name, give }| Kind { name, give: Arc::clone(give) }).collect())
    }
}

impl<S: Send + 'static, R: From<Problem> + From<db::Error> + 'static> Kinds<S, R> {
    /// None yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// With one more: a name of letters and dashes, and what gives a page of it.
    #[must_use]
    pub fn of<T, F>(
        mut self,
        name: &'static str,
        give: impl Fn(S, Wanted) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: Serialize,
        F: Future<Output = Result<Page<T>, R>> + Send + 'static,
    {
        let give = move |state, wanted| -> Given<R> {
            let given = give(state, wanted);
            Box::pin(async move {
                let Page { items, next_cursor } = given.await?;
                let items: Result<_, _> = items.iter().map(to_raw_value).collect();
                let items = items.map_err(|_| Problem::new(ProblemCode::Internal))?;
                Ok(Page { items, next_cursor })
            })
        };
        self.0.push(Kind { name, give: Arc::new(give) });
        self
    }

    /// With who has seen or changed the patient's data, as the patient may know it.
    #[must_use]
    pub fn with_accesses(self, db: Db) -> Self {
        self.of(ACCESSES, move |_, wanted| {
            let db = db.clone();
            async move { accesses(&db, &wanted).await }
        })
    }

    /// The page that is asked for, and where the next one begins: of the same kind, or of the one after it.
    pub async fn page(&self, state: S, patient: &PatientId, search: &ExportSearch) -> Result<ExportPage, R> {
        let unknown =
            || Problem::new(ProblemCode::InvalidQuery).fault("after", "must be the next of a page before");
        let (at, cursor) = match search.after.as_deref() {
            None => (Some(0), None),
            Some(after) => {
                let (name, cursor) =
                    after.split_once('.').map_or((after, None), |(name, cursor)| (name, Some(cursor)));
                (self.0.iter().position(|kind| kind.name == name), cursor)
            }
        };
        let (at, kind) = at.and_then(|at| Some((at, self.0.get(at)?))).ok_or_else(unknown)?;
        let wanted = Wanted { patient: patient.clone(), cursor: cursor.map(str::to_owned) };
        let Page { items, next_cursor } = (kind.give)(state, wanted).await?;
        let further = next_cursor.map(|cursor| format!("{}.{cursor}", kind.name));
        let next = further.or_else(|| self.0.get(at + 1).map(|kind| kind.name.to_owned()));
        Ok(ExportPage { kind: kind.name.to_owned(), items, next })
    }
}

impl<S: Send + 'static, R: From<Problem> + From<db::Error> + 'static> Default for Kinds<S, R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where an entry stands in a service's audit.
type Place = (DateTime<Utc>, String, i64);

async fn accesses<R: From<Problem> + From<db::Error>>(
    db: &Db,
    wanted: &Wanted,
) -> Result<Page<PatientAccess>, R> {
    let window: Window<Place> = wanted.window()?;
    let mut search = AuditSearch {
        subject: Some(wanted.patient.to_string()),
        limit: window.limit + 1,
        ..AuditSearch::default()
    };
    if let Some((at, chain, seq)) = window.after.clone() {
        (search.before_at, search.before_chain, search.before_seq) = (Some(at), Some(chain), Some(seq));
    }
    let found = audit::find(db, search).await.map_err(|error| R::from(error.problem()))?;
    let rows = found
        .into_iter()
        .map(|event| ((event.at, event.chain.clone(), event.seq), PatientAccess::of(event, &wanted.patient)));
    Ok(window.page(rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes wrong in these tests is a problem.
    #[derive(Debug)]
    struct Failed(Problem);

    impl From<Problem> for Failed {
        fn from(problem: Problem) -> Self {
            Self(problem)
        }
    }

    impl From<db::Error> for Failed {
        fn from(_: db::Error) -> Self {
            Self(Problem::new(ProblemCode::Internal))
        }
    }

    fn kinds() -> Kinds<(), Failed> {
        let numbers = |(): (), wanted: Wanted| async move {
            let window: Window<i64> = wanted.window()?;
            let from = window.after.unwrap_or(0);
            Ok(window.page((from + 1..=120).take(51).map(|at| (at, at)).collect()))
        };
        let none = |(): (), _: Wanted| async { Ok(Page::<i64> { items: Vec::new(), next_cursor: None }) };
        Kinds::new().of("none", none).of("numbers", numbers)
    }

    #[tokio::test]
    async fn every_kind_is_given_out_to_its_end_and_an_empty_one_is_named_too() {
        let (kinds, patient) = (kinds(), PatientId::parse("12345").unwrap());
        let (mut search, mut seen) = (ExportSearch::default(), Vec::new());
        loop {
            let page = kinds.page((), &patient, &search).await.unwrap();
            seen.push((page.kind, page.items.len()));
            let Some(next) = page.next else { break };
            search.after = Some(next);
        }
        let seen: Vec<_> = seen.iter().map(|(kind, items)| (kind.as_str(), *items)).collect();
        assert_eq!(seen, [("none", 0), ("numbers", 50), ("numbers", 50), ("numbers", 20)]);
    }

    #[tokio::test]
    async fn a_place_that_is_none_is_a_fault_of_the_query() {
        let patient = PatientId::parse("12345").unwrap();
        for after in ["", "other", "numbers.x", ".", "numbers."] {
            let search = ExportSearch { after: Some(after.to_owned()) };
            let refused = kinds().page((), &patient, &search).await.err().map(|failed| failed.0.code);
            assert_eq!(refused, Some(ProblemCode::InvalidQuery), "{after:?}");
        }
    }
}
