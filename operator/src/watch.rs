//! The watches of what stacks consist of: by label, metadata alone or a little more, and nothing is kept but what [`Live`] keeps.
//!
//! A watch ends by itself after [`TIMEOUT_SECONDS`], and the client gives one up that shows nothing for
//! [`SILENCE_TIMEOUT`](crate::transport::SILENCE_TIMEOUT): no load balancer that drops idle connections silently can blind the operator
//! for long.
//!
//! Secrets are watched without a label, so that a Secret that a stack merely names is noticed too. Of those only name and version are kept:
//! some ninety bytes each. A GET for each named Secret every few minutes would cost less memory, and notice a new password minutes later.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt};
use kube::core::{ApiResource, DynamicResourceScope, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, watcher::Config};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::kinds::{Kind, KindId, View};
use crate::lists::{Lists, Watched};
use crate::live::{Key, Live, News, Seen, StackId, version};
use crate::plan::labels;
use crate::queue::Queue;
use crate::thin::Thin;
use crate::transport::Signs;

/// A watch's life. Load balancers drop what is idle after four minutes or more; bookmarks come every minute.
pub const TIMEOUT_SECONDS: u32 = 290;

/// Objects that are parsed at once when a kind is listed: what the operator needs most memory for.
const PAGE: u32 = 100;

/// How every watch is asked for.
pub fn config() -> Config {
    Config::default().timeout(TIMEOUT_SECONDS).page_size(PAGE)
}

/// A watch that begins again after an interruption, later each time, and whose failures are signs of life too: the loop moves.
pub fn events<K>(
    api: Api<K>,
    config: Config,
    path: String,
    signs: Signs,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    signs.expect(&path);
    watcher(api, config)
        .map(move |event| {
            if let Err(error) = &event {
                signs.seen(&path);
                tracing::warn!(%error, %path, "a watch was interrupted");
            }
            event
        })
        .default_backoff()
}

/// Whether a list is not allowed, or there is no such kind. Who waits for it may wait for ever.
pub const fn is_refused(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if matches!(status.code, 403 | 404))
}

/// What every watch of the operator feeds.
#[derive(Clone)]
pub struct Sink {
    /// Whom to ask.
    pub client: Client,
    /// What is seen.
    pub live: Live,
    /// Secrets, by namespace and name.
    pub secrets: SecretVersions,
    /// Who should look at it.
    pub queue: Queue,
    /// Which first lists are yet to come.
    pub lists: Lists,
    /// Signs of life.
    pub signs: Signs,
}

/// Watches one kind in one namespace, or everywhere, for as long as the future lives.
pub async fn watch(sink: Sink, id: KindId, namespace: Option<String>) {
    let kind = id.kind();
    let is_secret = kind.resource.kind == "Secret";
    let selector = format!("{}={}", labels::MANAGED_BY.0, labels::MANAGED_BY.1);
    let config = if is_secret { config() } else { config().labels(&selector) };
    let path = Thin::url_path(&kind.resource, namespace.as_deref());
    let signs = sink.signs.clone();
    let mut pump = Pump { sink, watched: (id, namespace), kind, is_secret, seen: HashSet::new() };
    match kind.view {
        View::Metadata => {
            let api = api::<PartialObjectMeta<Thin>>(&pump);
            let mut events = std::pin::pin!(events(api, config, path, signs));
            while let Some(event) = events.next().await {
                pump.take(event, |object| Seen::of_metadata(object, kind));
            }
        }
        View::Thin => {
            let api = api::<Thin>(&pump);
            let mut events = std::pin::pin!(events(api, config, path, signs));
            while let Some(event) = events.next().await {
                pump.take(event, |object| Seen::of_thin(object, kind));
            }
        }
    }
}

fn api<K>(pump: &Pump) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    let client = pump.sink.client.clone();
    match &pump.watched.1 {
        Some(namespace) => Api::namespaced_with(client, namespace, &pump.kind.resource),
        None => Api::all_with(client, &pump.kind.resource),
    }
}

struct Pump {
    sink: Sink,
    watched: Watched,
    kind: &'static Kind,
    is_secret: bool,
    /// What the list under way has had so far.
    seen: HashSet<(StackId, Box<str>)>,
}

impl Pump {
    fn take<K: Resource>(&mut self, event: watcher::Result<Event<K>>, look: impl Fn(&K) -> Seen) {
        match event {
            Ok(Event::Init) => {
                self.seen.clear();
                if self.is_secret {
                    self.sink.secrets.begin_list(self.watched.1.as_deref());
                }
            }
            Ok(Event::InitApply(object)) => {
                if let Some(id) = stack_of(&object) {
                    self.seen.insert((id, object.name_any().into()));
                }
                self.apply(&object, look(&object));
            }
            Ok(Event::InitDone) => self.end_list(),
            Ok(Event::Apply(object)) => self.apply(&object, look(&object)),
            Ok(Event::Delete(object)) => self.delete(&object),
            // What was seen before stays known: of what is there now nothing was said.
            Err(error) if is_refused(&error) => self.sink.lists.refuse(&self.watched),
            Err(_) => {}
        }
    }

    fn apply<K: Resource>(&self, object: &K, seen: Seen) {
        if self.is_secret {
            self.sink.secrets.keep(object, seen.version, &self.sink.queue);
        }
        let Some(stack) = stack_of(object) else { return };
        let key: Key = (self.watched.0, object.name_any().into());
        if self.sink.live.keep(&stack, key, seen) == News::Changed {
            self.sink.queue.push(&stack);
        }
    }

    fn delete<K: Resource>(&self, object: &K) {
        if self.is_secret {
            self.sink.secrets.forget(object, &self.sink.queue);
        }
        let Some(stack) = stack_of(object) else { return };
        let key: Key = (self.watched.0, object.name_any().into());
        let version = version(object.meta());
        if self.sink.live.drop_object(self.watched.1.as_deref(), &stack, &key, version) == News::Changed {
            self.sink.queue.push(&stack);
        }
    }

    fn end_list(&mut self) {
        let namespace = self.watched.1.as_deref();
        for loser in self.sink.live.keep_only(self.watched.0, namespace, &self.seen) {
            self.sink.queue.push(&loser);
        }
        if self.is_secret {
            self.sink.secrets.end_list(namespace, &self.sink.queue);
        }
        self.seen = HashSet::new();
        if self.sink.lists.end(&self.watched) {
            // They were left alone until now.
            self.sink.queue.push_all();
        }
    }
}

/// Which stack an object says it belongs to.
fn stack_of<K: Resource>(object: &K) -> Option<StackId> {
    let label = labels::stack_of(object.labels())?.to_owned();
    Some(StackId { namespace: object.namespace()?, label })
}

/// The version of each Secret, and which stacks name it.
#[derive(Clone, Debug, Default)]
pub struct SecretVersions(Arc<Mutex<Secrets>>);

#[derive(Debug, Default)]
struct Secrets {
    /// By namespace and name. The flag says whether the list under way has had it.
    versions: HashMap<String, HashMap<Box<str>, (u64, bool)>>,
    named_by: HashMap<StackId, BTreeSet<String>>,
}

impl SecretVersions {
    /// The version of a Secret, or `None` if there is none of that name.
    pub fn version(&self, namespace: &str, name: &str) -> Option<u64> {
        self.lock().versions.get(namespace)?.get(name).map(|(version, _)| *version)
    }

    /// Which Secrets a stack names: it is queued when one of them changes.
    pub fn name(&self, stack: &StackId, secrets: BTreeSet<String>) {
        self.lock().named_by.insert(stack.clone(), secrets);
    }

    /// The stack is gone.
    pub fn part(&self, stack: &StackId) {
        self.lock().named_by.remove(stack);
    }

    fn keep<K: Resource>(&self, secret: &K, version: u64, queue: &Queue) {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        let mut secrets = self.lock();
        let of_namespace = secrets.versions.entry(namespace.clone()).or_default();
        let before = of_namespace.insert(name.as_str().into(), (version, true));
        if before.is_none_or(|(before, _)| before < version) {
            secrets.tell(&namespace, &name, queue);
        }
    }

    fn forget<K: Resource>(&self, secret: &K, queue: &Queue) {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        let mut secrets = self.lock();
        if secrets.versions.get_mut(&namespace).and_then(|of| of.remove(name.as_str())).is_some() {
            secrets.tell(&namespace, &name, queue);
        }
    }

    fn begin_list(&self, namespace: Option<&str>) {
        let mut secrets = self.lock();
        for (of, versions) in &mut secrets.versions {
            if namespace.is_none_or(|namespace| namespace == of) {
                for (_, listed) in versions.values_mut() {
                    *listed = false;
                }
            }
        }
    }

    fn end_list(&self, namespace: Option<&str>, queue: &Queue) {
        let mut secrets = self.lock();
        let mut gone = Vec::new();
        for (of, versions) in &mut secrets.versions {
            if namespace.is_none_or(|namespace| namespace == of) {
                gone.extend(
                    versions.extract_if(|_, (_, listed)| !*listed).map(|(name, _)| (of.clone(), name)),
                );
            }
        }
        for (namespace, name) in gone {
            secrets.tell(&namespace, &name, queue);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Secrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets {
    fn tell(&self, namespace: &str, name: &str, queue: &Queue) {
        let concerned = self
            .named_by
            .iter()
            .filter(|(stack, names)| stack.namespace == namespace && names.contains(name));
        concerned.for_each(|(stack, _)| queue.push(stack));
    }
}
