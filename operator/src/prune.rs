//! `prune`: takes away what the stack owns and no longer plans.
//!
//! Only what carries the stack as its owner: Jobs of a CronJob and volumes of a StatefulSet belong to those. Secrets and volumes are never
//! pruned: what is in them cannot be made again.

use std::collections::BTreeSet;

use kube::Api;
use kube::api::DeleteParams;

use crate::Error;
use crate::apply::Place;
use crate::kinds::Kind;
use crate::live::{Key, Seen};
use crate::object::{Object, ObjectRef};
use crate::thin::Thin;

const KEPT: [&str; 2] = ["Secret", "PersistentVolumeClaim"];

/// Deletes what the stack owns beside `objects`. Answers what it deleted.
pub async fn prune(place: Place<'_>, objects: &[Object]) -> Result<Vec<ObjectRef>, Error> {
    let planned: BTreeSet<Key> = objects
        .iter()
        .filter_map(|object| {
            let id = Kind::id(&object.resource.group, &object.resource.kind)?;
            Some((id, object.name.as_str().into()))
        })
        .collect();
    let mut pruned = Vec::new();
    for (key, seen) in place.live.of_stack(place.stack) {
        if !is_left_over(&key, &seen, place.uid, &planned) {
            continue;
        }
        delete(place, &key, &seen).await?;
        pruned.push(reference(&key));
    }
    Ok(pruned)
}

fn is_left_over(key: &Key, seen: &Seen, uid: &str, planned: &BTreeSet<Key>) -> bool {
    !planned.contains(key)
        && seen.owner.as_deref() == Some(uid)
        && !seen.deleting
        && !KEPT.contains(&key.0.kind().resource.kind.as_str())
}

/// Deletes one object, as it was seen, and what it made.
pub async fn delete(place: Place<'_>, key: &Key, seen: &Seen) -> Result<(), Error> {
    delete_in(place, key, seen, &DeleteParams::background()).await
}

/// The same; it is there for as long as anything is that it made.
pub async fn delete_last(place: Place<'_>, key: &Key, seen: &Seen) -> Result<(), Error> {
    delete_in(place, key, seen, &DeleteParams::foreground()).await
}

async fn delete_in(place: Place<'_>, key: &Key, seen: &Seen, params: &DeleteParams) -> Result<(), Error> {
    let resource = &key.0.kind().resource;
    let api: Api<Thin> = Api::namespaced_with(place.client.clone(), &place.stack.namespace, resource);
    match api.delete(&key.1, params).await {
        Ok(_) => {
            // The watch may tell much later; until then it would be taken for what is to come in its place.
            place.live.mark_deleting(place.stack, key, seen);
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            // Who has made it again since was seen since.
            place.live.drop_known(place.stack, key, seen.version);
            Ok(())
        }
        Err(error) => Err(Error::api(format!("deleting {}", reference(key)))(error)),
    }
}

/// What others call it.
pub fn reference(key: &Key) -> ObjectRef {
    let resource = &key.0.kind().resource;
    ObjectRef { group: resource.group.clone(), kind: resource.kind.clone(), name: key.1.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_stack_owns_and_nobody_needs_is_pruned() {
        let key = |group, kind| -> Key { (Kind::id(group, kind).expect("known"), "clinic-x".into()) };
        let seen = |owner: Option<&str>, deleting| Seen {
            version: 1,
            fingerprint: 1,
            applied: None,
            owner: owner.map(Into::into),
            deleting,
            state: crate::live::State::Nothing,
        };
        let deployment = key("apps", "Deployment");
        let none = BTreeSet::new();
        assert!(is_left_over(&deployment, &seen(Some("u"), false), "u", &none));
        assert!(!is_left_over(&deployment, &seen(Some("u"), false), "u", &[deployment.clone()].into()));
        assert!(!is_left_over(&deployment, &seen(Some("v"), false), "u", &none), "of a namesake");
        assert!(!is_left_over(&deployment, &seen(None, false), "u", &none), "of another controller");
        assert!(!is_left_over(&deployment, &seen(Some("u"), true), "u", &none), "going already");
        assert!(!is_left_over(&key("", "Secret"), &seen(Some("u"), false), "u", &none));
        assert!(!is_left_over(&key("", "PersistentVolumeClaim"), &seen(Some("u"), false), "u", &none));
    }
}
