//! Which route a method and a path mean: one tree a method, so that `GET /a/{id}` is found although `POST /a/b` exists.

use std::sync::Arc;

use http::{HeaderValue, Method};
use matchit::Router;

use crate::snapshot::Route;

/// All routes of a snapshot.
#[derive(Default)]
pub(crate) struct Routes {
    trees: [Router<Arc<Route>>; METHODS.len()],
}

/// What came of looking.
pub(crate) enum Found<'a> {
    Route(&'a Arc<Route>),
    /// The path has these methods and not this one.
    OtherMethods(HeaderValue),
    Nothing,
}

const METHODS: [settings::Method; 5] = [
    settings::Method::Get,
    settings::Method::Post,
    settings::Method::Put,
    settings::Method::Patch,
    settings::Method::Delete,
];

impl Routes {
    /// Adds a route. `Err` says why its path is none, or whose it is already.
    pub(crate) fn insert(&mut self, path: &str, route: Arc<Route>) -> Result<(), matchit::InsertError> {
        self.trees[index(route.method)].insert(path, route)
    }

    /// The route of a request. HEAD is served by GET's: it is the same without the body.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let own = match *method {
            Method::GET | Method::HEAD => Some(settings::Method::Get),
            Method::POST => Some(settings::Method::Post),
            Method::PUT => Some(settings::Method::Put),
            Method::PATCH => Some(settings::Method::Patch),
            Method::DELETE => Some(settings::Method::Delete),
            _ => None,
        };
        if let Some(found) = own.and_then(|own| self.trees[index(own)].at(path).ok()) {
            return Found::Route(found.value);
        }
        let has = |method: &settings::Method| self.trees[index(*method)].at(path).is_ok();
        let mut allowed: Vec<&str> =
            METHODS.iter().filter(|method| has(method)).map(|method| method.as_str()).collect();
        if allowed.is_empty() {
            return Found::Nothing;
        }
        if allowed[0] == "GET" {
            allowed.insert(1, "HEAD");
        }
        allowed.push("OPTIONS");
        Found::OtherMethods(
            HeaderValue::try_from(allowed.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("")),
        )
    }
}

fn index(method: settings::Method) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or_default()
}
