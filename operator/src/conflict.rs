//! Who keeps taking a field back: found, counted, and after a while no longer fought.
//!
//! A drift is repaired at once. If the same field manager takes the same field back [`TIMES`] times within [`WITHIN`], the object is left
//! as it is for [`PAUSE`], and the stack's condition names both. Then it is tried again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use tokio::time::Instant;

use crate::MANAGER;
use crate::live::{Key, StackId};
use crate::object::{Object, ObjectRef};

const TIMES: usize = 20;
const WITHIN: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_mins(5);

/// A field that two managers want differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// The object.
    pub object: ObjectRef,
    /// The other manager, such as `kubectl-edit`.
    pub manager: String,
    /// The field, such as `spec.replicas`.
    pub field: String,
}

impl Contest {
    /// Of an object that somebody deletes: the API server does not tell who.
    pub fn of_deletion(object: ObjectRef) -> Self {
        Self { object, manager: "somebody".to_owned(), field: "metadata.deletionTimestamp".to_owned() }
    }
}

/// What has been taken back lately.
#[derive(Debug, Default)]
pub struct Contests(HashMap<Key, Counted>);

#[derive(Debug)]
struct Counted {
    contest: Contest,
    times: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl Contests {
    /// A repair took a field back from somebody.
    pub fn count(&mut self, key: Key, contest: Contest, now: Instant) {
        let counted = self.0.entry(key).or_insert_with(|| Counted {
            contest: contest.clone(),
            times: VecDeque::new(),
            paused_until: None,
        });
        if counted.contest.manager != contest.manager {
            (counted.times, counted.paused_until) = (VecDeque::new(), None);
        }
        counted.contest = contest;
        counted.times.retain(|time| now.duration_since(*time) < WITHIN);
        counted.times.push_back(now);
        if counted.times.len() >= TIMES {
            counted.times.clear();
            counted.paused_until = Some(now + PAUSE);
        }
    }

    /// Whether an object is left as it is for now.
    pub fn is_paused(&self, key: &Key, now: Instant) -> bool {
        self.0.get(key).and_then(|counted| counted.paused_until).is_some_and(|until| now < until)
    }

    /// What is not fought over for now. What has rested is forgotten.
    pub fn open(&mut self, now: Instant) -> Vec<Contest> {
        self.0.retain(|_, counted| {
            counted.paused_until.is_some_and(|until| now < until)
                || counted.times.back().is_some_and(|time| now.duration_since(*time) < WITHIN)
        });
        let mut open: Vec<_> = self
            .0
            .values()
            .filter(|counted| counted.paused_until.is_some_and(|until| now < until))
            .map(|counted| counted.contest.clone())
            .collect();
        open.sort_by(|a, b| a.object.cmp(&b.object));
        open
    }

    /// When the first of them is tried again.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let left = self.0.values().filter_map(|counted| counted.paused_until?.checked_duration_since(now));
        left.filter(|left| !left.is_zero()).min()
    }
}

/// Who has changed the object, and which of its planned fields. `None` if that cannot be told.
pub async fn contest(client: &Client, stack: &StackId, object: &Object) -> Option<Contest> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &stack.namespace, &object.resource);
    let live = api.get(&object.name).await.ok()?;
    let managers = live
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some(MANAGER) && entry.subresource.is_none())
        .filter_map(|entry| Some((entry.manager.clone()?, serde_json::to_value(&entry.fields_v1).ok()?)))
        .collect::<Vec<_>>();
    let live = serde_json::to_value(&live).ok()?;
    managers.into_iter().find_map(|(manager, fields)| {
        let field = differing(&fields, Some(&object.body), Some(&live), &mut String::new())?;
        Some(Contest { object: object.reference(), manager, field })
    })
}

/// The first of a manager's fields (`fieldsV1`) that is planned and is not as planned.
fn differing(
    fields: &Value,
    planned: Option<&Value>,
    live: Option<&Value>,
    path: &mut String,
) -> Option<String> {
    let members = fields.as_object()?;
    if members.keys().all(|key| key == ".") {
        return (planned.is_some() && planned != live).then(|| path.clone());
    }
    members.iter().filter(|(key, _)| *key != ".").find_map(|(key, below)| {
        let length = path.len();
        let found = if let Some(name) = key.strip_prefix("f:") {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            differing(below, planned?.get(name), live.and_then(|live| live.get(name)), path)
        } else if let Some(keys) = key.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).ok()?;
            path.push_str(&shown(&keys));
            differing(
                below,
                planned.and_then(|list| item(list, &keys)),
                live.and_then(|list| item(list, &keys)),
                path,
            )
        } else {
            None
        };
        path.truncate(length);
        found
    })
}

/// The item of a list that has these keys.
fn item<'a>(list: &'a Value, keys: &Value) -> Option<&'a Value> {
    let keys = keys.as_object()?;
    list.as_array()?.iter().find(|item| keys.iter().all(|(key, value)| item.get(key) == Some(value)))
}

/// `[name=x]`.
fn shown(keys: &Value) -> String {
    let pairs = keys.as_object().into_iter().flatten().map(|(key, value)| match value {
        Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    });
    format!("[{}]", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use serde_json::json;

    fn contest(manager: &str) -> Contest {
        let object = ObjectRef {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            name: "clinic-x".to_owned(),
        };
        Contest { object, manager: manager.to_owned(), field: "spec.replicas".to_owned() }
    }

    fn key() -> Key {
        (Kind::id("apps", "Deployment").expect("known"), "clinic-x".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_field_taken_back_twenty_times_in_a_minute_is_left_for_a_while() {
        let mut contests = Contests::default();
        for time in 0..20 {
            assert!(!contests.is_paused(&key(), Instant::now()), "after {time}");
            contests.count(key(), contest("kubectl"), Instant::now());
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(contests.is_paused(&key(), Instant::now()));
        assert_eq!(contests.open(Instant::now()), [contest("kubectl")]);
        assert!(contests.next(Instant::now()).is_some_and(|left| left <= PAUSE));
        tokio::time::advance(PAUSE).await;
        assert!(!contests.is_paused(&key(), Instant::now()));
        assert!(contests.open(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_edits_now_and_then_is_always_repaired() {
        let mut contests = Contests::default();
        for _ in 0..100 {
            contests.count(key(), contest("kubectl"), Instant::now());
            tokio::time::advance(Duration::from_secs(4)).await;
            assert!(!contests.is_paused(&key(), Instant::now()));
        }
    }

    #[test]
    fn the_field_is_named_with_its_path() {
        let fields = json!({"f:metadata": {"f:annotations": {".": {}, "f:other": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}}}}}}});
        let object = |image: &str, other: &str| json!({"metadata": {"annotations": {"other": other}}, "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
        let mut planned = object("a:1", "");
        planned["metadata"] = json!({});
        let found = differing(&fields, Some(&planned), Some(&object("a:2", "x")), &mut String::new());
        assert_eq!(found.as_deref(), Some("spec.template.spec.containers[name=app].image"));
        assert_eq!(differing(&fields, Some(&planned), Some(&object("a:1", "x")), &mut String::new()), None);
    }
}
