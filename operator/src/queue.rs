//! [`Queue`]: which stacks wait for a reconcile. A stack waits once, however much happens to it meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::live::StackId;
use crate::metrics::Metrics;
use crate::stacks::Guarded;

/// Which stacks wait. What is sent is bounded by the number of stacks: one that waits already is not sent again.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: UnboundedSender<ObjectRef<Guarded>>,
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    /// Since when each waits.
    waiting: HashMap<ObjectRef<Guarded>, Instant>,
    /// Full names, by what labels call them.
    names: HashMap<StackId, String>,
    /// When a reconcile last began or ended.
    moved: Instant,
}

impl Queue {
    /// An empty queue, and what comes out of it.
    pub fn new(metrics: Metrics) -> (Self, impl Stream<Item = ObjectRef<Guarded>>) {
        let (sender, receiver) = unbounded_channel();
        let state = State { waiting: HashMap::new(), names: HashMap::new(), moved: Instant::now() };
        let queue = Self(Arc::new(Inner { sender, state: Mutex::new(state), metrics }));
        (queue, stream(receiver))
    }

    /// There is such a stack, so that its objects' labels mean something.
    pub fn meet(&self, id: &StackId, name: &str) {
        self.lock().names.insert(id.clone(), name.to_owned());
    }

    /// The stack is gone.
    pub fn part(&self, id: &StackId) {
        let mut state = self.lock();
        if let Some(name) = state.names.remove(id) {
            state.waiting.remove(&reference(&id.namespace, &name));
            self.0.metrics.queue_depth(state.waiting.len());
        }
    }

    /// Something happened to the stack or to one of its objects.
    pub fn push(&self, id: &StackId) {
        let mut state = self.lock();
        let Some(name) = state.names.get(id) else { return };
        let reference = reference(&id.namespace, name);
        if state.waiting.contains_key(&reference) {
            return;
        }
        if state.waiting.is_empty() {
            state.moved = Instant::now();
        }
        state.waiting.insert(reference.clone(), Instant::now());
        self.0.metrics.queue_depth(state.waiting.len());
        drop(state);
        // Nobody listens any more only when the process is about to end.
        let _ = self.0.sender.send(reference);
    }

    /// Every stack.
    pub fn push_all(&self) {
        let all: Vec<_> = self.lock().names.keys().cloned().collect();
        for id in all {
            self.push(&id);
        }
    }

    /// A reconcile begins.
    pub fn begin(&self, reference: &ObjectRef<Guarded>) {
        let mut state = self.lock();
        state.waiting.remove(reference);
        state.moved = Instant::now();
        self.0.metrics.queue_depth(state.waiting.len());
    }

    /// A reconcile has ended.
    pub fn end(&self) {
        self.lock().moved = Instant::now();
    }

    /// For how long nothing has moved although something waits.
    pub fn standstill(&self) -> Option<Duration> {
        let state = self.lock();
        (!state.waiting.is_empty()).then(|| state.moved.elapsed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stack, by its name.
pub fn reference(namespace: &str, name: &str) -> ObjectRef<Guarded> {
    ObjectRef::new(name).within(namespace)
}

fn stream(receiver: UnboundedReceiver<ObjectRef<Guarded>>) -> impl Stream<Item = ObjectRef<Guarded>> {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        let reference = receiver.recv().await?;
        Some((reference, receiver))
    })
}
