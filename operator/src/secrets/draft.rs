//! [`Draft`]: a Secret on its way from what is there to what should be. [`Book`]: all of a stack's.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use stack::names;

use super::{Change, Lifetime, Refusal, Request};
use crate::plan::labels;

/// One of the stack's Secrets.
#[derive(Clone)]
pub(super) struct Draft {
    secret: Secret,
    new: bool,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("secret", &Shown(&self.secret)).field("new", &self.new).finish()
    }
}

/// A Secret as it may be shown: its name and its keys, and none of its values.
pub(super) struct Shown<'a>(pub(super) &'a Secret);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.0.data.iter().flat_map(BTreeMap::keys);
        let text = self.0.string_data.iter().flat_map(BTreeMap::keys);
        let keys: Vec<_> = data.chain(text).collect();
        write!(f, "{} {keys:?}", self.0.metadata.name.as_deref().unwrap_or_default())
    }
}

impl Draft {
    /// Whether it is not on the cluster yet.
    pub(super) const fn is_new(&self) -> bool {
        self.new
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.secret.data.as_ref()?.get(key).map(|value| value.0.as_slice())
    }

    /// What stands under a key, as text.
    pub(super) fn text(&self, key: &str) -> Result<&str, Refusal> {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(|| self.damaged(key))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.secret.data.get_or_insert_default().insert(key.to_owned(), ByteString(value.into()));
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, key: &str) -> Option<Vec<u8>> {
        self.secret.data.as_mut()?.remove(key).map(|value| value.0)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.secret.data.iter().flatten().map(|(key, _)| key.as_str())
    }

    pub(super) fn note(&self, name: &str) -> Option<&str> {
        self.secret.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub(super) fn set_note(&mut self, name: &str, value: Option<String>) {
        let notes = self.secret.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => notes.insert(name.to_owned(), value),
            None => notes.remove(name),
        };
    }

    /// What is said when it does not hold what it should. It is not made anew over what is there: that might be what opens the data.
    pub(super) fn damaged(&self, key: &str) -> Refusal {
        Refusal::Damaged {
            secret: self.secret.metadata.name.clone().unwrap_or_default(),
            key: key.to_owned(),
        }
    }
}

/// A stack's Secrets, by object name.
pub(super) struct Book<'a> {
    request: &'a Request<'a>,
    drafts: Vec<Draft>,
}

impl<'a> Book<'a> {
    pub(super) const fn new(request: &'a Request<'a>) -> Self {
        Self { request, drafts: Vec::new() }
    }

    /// The Secret of a part: as it is, or an empty one.
    pub(super) fn open(&self, part: &str, lifetime: Lifetime) -> Draft {
        let stack = self.request.stack;
        let name = names::object(&stack.name, part);
        if let Some(there) = self.request.existing.get(&name) {
            return Draft { secret: there.clone(), new: false };
        }
        let metadata = ObjectMeta {
            name: Some(name),
            namespace: Some(stack.namespace.clone()),
            labels: Some(labels::all(&stack.name, part)),
            owner_references: match lifetime {
                Lifetime::Kept => None,
                Lifetime::Stack => Some(vec![self.request.owner.clone()]),
            },
            ..ObjectMeta::default()
        };
        Draft { secret: Secret { metadata, ..Secret::default() }, new: true }
    }

    /// Whether a part's Secret is on the cluster.
    pub(super) fn is_there(&self, part: &str) -> bool {
        self.request.existing.contains_key(&names::object(&self.request.stack.name, part))
    }

    /// What stands under a key of a part's Secret on the cluster, as text.
    pub(super) fn there(&self, part: &str, key: &str) -> Option<String> {
        let secret = self.request.existing.get(&names::object(&self.request.stack.name, part))?;
        String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
    }

    /// Puts a Secret back, after those that were put before.
    pub(super) fn close(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// What has to be written, in the order in which it was put back.
    pub(super) fn changes(self) -> Vec<Change> {
        let existing: &BTreeMap<String, Secret> = self.request.existing;
        let changed =
            |draft: &Draft| match draft.secret.metadata.name.as_ref().and_then(|name| existing.get(name)) {
                Some(there) => there.data != draft.secret.data || there.metadata != draft.secret.metadata,
                None => true,
            };
        let into_change = |draft: Draft| {
            if draft.new { Change::Create(draft.secret) } else { Change::Replace(draft.secret) }
        };
        self.drafts.into_iter().filter(changed).map(into_change).collect()
    }
}
