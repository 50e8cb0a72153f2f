//! The stacks themselves: watched whole, each read for itself, so that one that cannot be read never stops the others.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::{Store, Writer};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use stack::names;
use stack::spec::HealthcareStack;

use crate::live::StackId;
use crate::queue::Queue;
use crate::transport::Signs;
use crate::watch;

/// A stack, or why it cannot be read.
pub type Guarded = DeserializeGuard<HealthcareStack>;

/// What labels call a stack.
pub fn id(stack: &Guarded) -> StackId {
    StackId { namespace: stack.namespace().unwrap_or_default(), label: names::label(&stack.name_any()) }
}

/// Keeps the store and queues each stack that changes, for as long as the future lives.
pub async fn watch(
    client: Client,
    namespaces: Vec<Option<String>>,
    writer: Writer<Guarded>,
    queue: Queue,
    signs: Signs,
) {
    let mut keeper = Keeper::new(writer, queue, namespaces.clone());
    let watches = namespaces.into_iter().enumerate().map(|(index, namespace)| {
        events(&client, namespace, &signs).map(move |event| (index, event)).boxed()
    });
    let mut events = futures_util::stream::select_all(watches);
    while let Some((index, event)) = events.next().await {
        match event {
            Ok(event) => keeper.take(index, event),
            Err(error) if watch::is_refused(&error) => keeper.refuse(index),
            Err(_) => {}
        }
    }
}

fn events(
    client: &Client,
    namespace: Option<String>,
    signs: &Signs,
) -> impl Stream<Item = watcher::Result<Event<Guarded>>> + use<> {
    let path = HealthcareStack::url_path(&(), namespace.as_deref());
    let api: Api<Guarded> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    watch::events(api, watch::config(), path, signs.clone()).map(|event| {
        event.map(|event| {
            event.modify(|stack| {
                stack.meta_mut().managed_fields = None;
                stack.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
            })
        })
    })
}

/// One store for all watches. The store itself knows only one watch, whose list replaces everything: here each list replaces its part.
struct Keeper {
    writer: Writer<Guarded>,
    reader: Store<Guarded>,
    queue: Queue,
    namespaces: Vec<Option<String>>,
    listed: Vec<HashSet<StackId>>,
    /// Those that have not listed yet.
    unlisted: HashSet<usize>,
    /// Those of them that may not.
    refused: HashSet<usize>,
    has_begun: bool,
}

impl Keeper {
    fn new(writer: Writer<Guarded>, queue: Queue, namespaces: Vec<Option<String>>) -> Self {
        Self {
            reader: writer.as_reader(),
            writer,
            queue,
            listed: vec![HashSet::new(); namespaces.len()],
            unlisted: (0..namespaces.len()).collect(),
            refused: HashSet::new(),
            has_begun: false,
            namespaces,
        }
    }

    fn take(&mut self, index: usize, event: Event<Guarded>) {
        match event {
            Event::Init => self.listed[index].clear(),
            Event::InitApply(stack) => {
                self.listed[index].insert(id(&stack));
                self.apply(stack);
            }
            Event::Apply(stack) => self.apply(stack),
            Event::Delete(stack) => self.delete(stack),
            Event::InitDone => self.end_list(index),
        }
    }

    fn apply(&mut self, stack: Guarded) {
        let id = id(&stack);
        self.queue.meet(&id, &stack.name_any());
        self.writer.apply_watcher_event(&Event::Apply(stack));
        self.queue.push(&id);
    }

    /// The loop looks once more, finds that it is gone, and forgets what it remembers of it.
    fn delete(&mut self, stack: Guarded) {
        let id = id(&stack);
        self.writer.apply_watcher_event(&Event::Delete(stack));
        self.queue.push(&id);
        self.queue.part(&id);
    }

    /// A list that is refused says nothing: what is known stays. The others do not wait for it.
    fn refuse(&mut self, index: usize) {
        self.refused.insert(index);
        self.begin();
    }

    /// What the list does not have is gone.
    fn end_list(&mut self, index: usize) {
        let namespace = self.namespaces[index].clone();
        let gone: Vec<_> = self
            .reader
            .state()
            .into_iter()
            .filter(|stack| namespace.is_none() || stack.namespace() == namespace)
            .filter(|stack| !self.listed[index].contains(&id(stack)))
            .collect();
        for stack in gone {
            self.delete(Arc::unwrap_or_clone(stack));
        }
        self.listed[index].clear();
        self.unlisted.remove(&index);
        self.begin();
    }

    /// When every watch has listed, or may not, reconciling begins. An operator that may list nothing at all is not ready: it is not installed
    /// as it should be.
    fn begin(&mut self) {
        let knows_something = self.unlisted.len() < self.namespaces.len();
        if self.has_begun || !knows_something || !self.unlisted.is_subset(&self.refused) {
            return;
        }
        self.has_begun = true;
        let stacks = self.reader.state();
        self.writer.apply_watcher_event(&Event::Init);
        for stack in stacks {
            self.writer.apply_watcher_event(&Event::InitApply(Arc::unwrap_or_clone(stack)));
        }
        self.writer.apply_watcher_event(&Event::InitDone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use futures_util::FutureExt;
    use kube::runtime::reflector;

    fn stack(namespace: &str, name: &str) -> Guarded {
        let mut stack = HealthcareStack::new(name, stack::spec::HealthcareStackSpec::default());
        stack.metadata.namespace = Some(namespace.to_owned());
        DeserializeGuard(Ok(stack))
    }

    #[tokio::test]
    async fn a_list_of_one_namespace_leaves_the_others_alone() {
        let (reader, writer) = reflector::store();
        let (queue, _out) = Queue::new(Metrics::new());
        let mut keeper = Keeper::new(writer, queue, vec![Some("a".to_owned()), Some("b".to_owned())]);
        let names = |reader: &Store<Guarded>| {
            let mut names: Vec<_> = reader.state().iter().map(|stack| stack.name_any()).collect();
            names.sort();
            names
        };
        for (index, namespace, name) in [(0, "a", "one"), (0, "a", "two"), (1, "b", "three")] {
            keeper.take(index, Event::InitApply(stack(namespace, name)));
        }
        keeper.take(0, Event::InitDone);
        keeper.take(1, Event::InitDone);
        assert_eq!(names(&reader), ["one", "three", "two"]);
        reader.wait_until_ready().await.expect("the writer lives");
        keeper.take(0, Event::Init);
        keeper.take(0, Event::InitApply(stack("a", "two")));
        keeper.take(0, Event::InitDone);
        assert_eq!(names(&reader), ["three", "two"]);
    }

    #[tokio::test]
    async fn a_namespace_that_may_not_be_listed_holds_no_other_up() {
        let (reader, writer) = reflector::store();
        let (queue, out) = Queue::new(Metrics::new());
        let mut keeper = Keeper::new(writer, queue, vec![Some("gone".to_owned()), Some("there".to_owned())]);
        keeper.refuse(0);
        keeper.refuse(1);
        assert!(reader.wait_until_ready().now_or_never().is_none(), "nothing is known at all");
        keeper.take(1, Event::InitApply(stack("there", "one")));
        keeper.take(1, Event::InitDone);
        assert!(reader.wait_until_ready().now_or_never().is_some());
        assert_eq!(reader.state().len(), 1);
        // And when its rights are back.
        keeper.take(0, Event::Init);
        keeper.take(0, Event::InitApply(stack("gone", "two")));
        keeper.take(0, Event::InitDone);
        assert_eq!(reader.state().len(), 2);
        let out = std::pin::pin!(out.take(2));
        assert_eq!(out.collect::<Vec<_>>().now_or_never().map(|out| out.len()), Some(2));
        // Taken away once more, they take nothing along.
        keeper.take(0, Event::Init);
        keeper.refuse(0);
        assert_eq!(reader.state().len(), 2);
    }

    #[tokio::test]
    async fn the_loop_hears_of_a_stack_that_is_gone() {
        let (_reader, writer) = reflector::store();
        let (queue, out) = Queue::new(Metrics::new());
        let mut out = std::pin::pin!(out);
        let mut keeper = Keeper::new(writer, queue.clone(), vec![None]);
        keeper.take(0, Event::Apply(stack("a", "one")));
        let one = crate::queue::reference("a", "one");
        assert_eq!(out.next().await, Some(one.clone()));
        queue.begin(&one);
        keeper.take(0, Event::Delete(stack("a", "one")));
        assert_eq!(out.next().await, Some(one));
        assert_eq!(queue.standstill(), None, "nothing waits for what is gone");
    }
}
