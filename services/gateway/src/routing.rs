//! Which route a request means: one tree of paths a method, so that `GET /a/{id}` is found although `POST /a/b` exists; and where several
//! routes have one path, the headers that they ask for.
//!
//! In a tree a segment that is written out goes before an id, and both before `{*rest}`: the longest prefix that fits is the one that is
//! found.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use matchit::Router;

use crate::snapshot::Route;

/// All routes of a snapshot.
#[derive(Default)]
pub(crate) struct Routes {
    trees: [Router<usize>; METHODS.len()],
    /// What the trees' leaves stand for.
    leaves: Vec<Leaf>,
    /// Where a method and path have their leaf, while routes are added.
    known: HashMap<(settings::Method, String), usize>,
}

/// The routes of one method and path.
#[derive(Default)]
struct Leaf {
    /// Those that ask for headers, in the order in which they are tried.
    choosy: Vec<(Wanted, Arc<Route>)>,
    /// The one that does not.
    plain: Option<Arc<Route>>,
}

/// Headers that a route asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<(HeaderName, Option<HeaderValue>)>);

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

impl Wanted {
    /// What a configuration asks for; `Err` with the name or value that no header can have.
    pub(crate) fn parse(headers: &[settings::HeaderMatch]) -> Result<Self, &str> {
        let mut wanted = Vec::with_capacity(headers.len());
        for header in headers {
            let name = HeaderName::try_from(&*header.name).map_err(|_| &*header.name)?;
            let value = header.value.as_deref().map(|value| HeaderValue::from_str(value).map_err(|_| value));
            wanted.push((name, value.transpose()?));
        }
        Ok(Self(wanted))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_met(&self, headers: &HeaderMap) -> bool {
        self.0.iter().all(|(name, wanted)| match wanted {
            None => headers.contains_key(name),
            Some(wanted) => headers.get_all(name).iter().any(|value| value == wanted),
        })
    }

    /// How early it is tried: who asks for more is tried first, and of those who ask for as much, who says more of it.
    pub(crate) fn rank(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|(_, value)| value.is_some()).count())
    }

    /// Whether every request that meets `other`, which comes later, would have met this.
    pub(crate) fn hides(&self, other: &Self) -> bool {
        self.rank() >= other.rank()
            && self.0.iter().all(|(name, value)| {
                other.0.iter().any(|(also, as_well)| also == name && (value.is_none() || value == as_well))
            })
    }
}

impl Routes {
    /// Adds a route. `Err` says why its path is none, or whose it is already.
    pub(crate) fn insert(
        &mut self,
        path: &str,
        wanted: Wanted,
        route: Arc<Route>,
    ) -> Result<(), matchit::InsertError> {
        let key = (route.method, path.to_owned());
        let index = if let Some(index) = self.known.get(&key) {
            *index
        } else {
            let index = self.leaves.len();
            self.trees[place(route.method)].insert(path, index)?;
            self.leaves.push(Leaf::default());
            self.known.insert(key, index);
            index
        };
        let leaf = &mut self.leaves[index];
        if wanted.is_empty() {
            leaf.plain = Some(route);
        } else {
            leaf.choosy.push((wanted, route));
            leaf.choosy.sort_by_key(|(wanted, _)| std::cmp::Reverse(wanted.rank()));
        }
        Ok(())
    }

    /// No more routes are added.
    pub(crate) fn finish(&mut self) {
        self.known = HashMap::new();
    }

    /// The route of a request. HEAD is served by GET's: it is the same without the body.
    pub(crate) fn find(&self, method: &Method, path: &str, headers: &HeaderMap) -> Found<'_> {
        let own = match *method {
            Method::GET | Method::HEAD => Some(settings::Method::Get),
            Method::POST => Some(settings::Method::Post),
            Method::PUT => Some(settings::Method::Put),
            Method::PATCH => Some(settings::Method::Patch),
            Method::DELETE => Some(settings::Method::Delete),
            _ => None,
        };
        if let Some(route) = own.and_then(|own| self.look(own, path, headers)) {
            return Found::Route(route);
        }
        let has = |method: &settings::Method| self.look(*method, path, headers).is_some();
        allowed(has).map_or(Found::Nothing, Found::OtherMethods)
    }

    /// The methods that a path has, whatever headers its routes ask for; `None`: it has none.
    pub(crate) fn methods(&self, path: &str) -> Option<HeaderValue> {
        allowed(|method| self.trees[place(*method)].at(path).is_ok())
    }

    fn look(&self, method: settings::Method, path: &str, headers: &HeaderMap) -> Option<&Arc<Route>> {
        let leaf = &self.leaves[*self.trees[place(method)].at(path).ok()?.value];
        let choosy = leaf.choosy.iter().find(|(wanted, _)| wanted.is_met(headers));
        choosy.map(|(_, route)| route).or(leaf.plain.as_ref())
    }
}

/// Methods as `Allow` has them.
fn allowed(has: impl Fn(&settings::Method) -> bool) -> Option<HeaderValue> {
    let mut allowed: Vec<&str> =
        METHODS.iter().filter(|method| has(method)).map(|method| method.as_str()).collect();
    if *allowed.first()? == "GET" {
        allowed.insert(1, "HEAD");
    }
    allowed.push("OPTIONS");
    Some(HeaderValue::try_from(allowed.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("")))
}

fn place(method: settings::Method) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or_default()
}
