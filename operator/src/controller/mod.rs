//! [`Operator`]: what all reconciles share, and [`run`]: the loop that makes them happen.

mod kept;
mod watches;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use futures_util::{FutureExt, Stream, StreamExt};
use kept::{BACKOFF_MAX, Generation, Kept, pause_after};
use kube::runtime::controller::{Action, Config, Error as LoopError, applier};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use stack::spec::{HealthcareStack, HealthcareStackSpec};
use stack::{Invalid, Stack};
use tokio::task::JoinSet;
use tokio::time::Instant;
use traces::Tracer;
use tracing::Instrument;
use watches::Watches;

use crate::lists::Lists;
use crate::live::{Live, StackId};
use crate::metrics::Metrics;
use crate::plan::Capabilities;
use crate::queue::Queue;
use crate::reconcile::reconcile;
use crate::scope::Scope;
use crate::stacks::{self, Guarded};
use crate::trail::{self, Traced, Trail};
use crate::transport::Signs;
use crate::watch::SecretVersions;
use crate::{Error, MANAGER, discover};

/// Stacks that are reconciled at once.
const AT_ONCE: u16 = 8;
/// A reconcile that takes longer hangs on something.
const RECONCILE_MAX: Duration = Duration::from_mins(2);

/// What all reconciles share.
pub struct Operator {
    /// The API server.
    pub client: Client,
    /// What the watches see.
    pub live: Live,
    /// Which Secrets there are.
    pub secrets: SecretVersions,
    /// Which first lists are yet to come.
    pub lists: Lists,
    /// Which stacks wait.
    pub queue: Queue,
    /// What is counted.
    pub metrics: Metrics,
    /// Who writes Events.
    pub recorder: Recorder,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Where traces go, if anywhere.
    pub tracer: Tracer,
    /// What stacks run that name no version. `None`: the version of this program.
    pub stack_version: Option<String>,
    /// The operator's own image, if it was told.
    pub image: Option<String>,
    capabilities: RwLock<Capabilities>,
    stacks: Mutex<HashMap<StackId, Arc<tokio::sync::Mutex<Kept>>>>,
}

impl Operator {
    /// What other software brings.
    pub fn capabilities(&self) -> Capabilities {
        *self.capabilities.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has seen nothing yet.
    #[cfg(test)]
    pub(crate) fn new(client: Client) -> Self {
        let metrics = Metrics::new();
        Self {
            live: Live::default(),
            secrets: SecretVersions::default(),
            lists: Lists::default(),
            queue: Queue::new(metrics.clone()).0,
            metrics,
            recorder: Recorder::new(
                client.clone(),
                Reporter { controller: MANAGER.to_owned(), instance: None },
            ),
            clock: Clock::system(),
            random: Random::system(),
            tracer: Tracer::off(),
            stack_version: None,
            image: None,
            capabilities: RwLock::default(),
            stacks: Mutex::default(),
            client,
        }
    }

    /// The stack that a resource describes.
    pub fn stack(&self, resource: &HealthcareStack) -> Result<Stack, Invalid> {
        let stack = Stack::from_resource(resource)?;
        let spec = &resource.spec;
        Ok(match &self.stack_version {
            Some(version) if spec.version.is_none() => at_version(stack, spec, version),
            _ => stack,
        })
    }

    fn kept(&self, id: &StackId) -> Arc<tokio::sync::Mutex<Kept>> {
        let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stacks.entry(id.clone()).or_default())
    }

    /// The stack is gone.
    pub(crate) fn forget(&self, id: &StackId) {
        self.secrets.part(id);
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// A reconcile, if it is its time; how it ended decides when the next one is.
    pub(crate) async fn attempt(&self, store: &Store<Guarded>, popped: &Guarded) -> Result<Action, Error> {
        let reference = crate::queue::reference(&popped.namespace().unwrap_or_default(), &popped.name_any());
        self.queue.begin(&reference);
        // What was popped is what was there then. What has happened to it between that and `begin` is not told again.
        let Some(stack) = store.get(&reference) else {
            self.forget(&stacks::id(popped));
            return Ok(Action::await_change());
        };
        let stack = &*stack;
        let kept = self.kept(&stacks::id(stack));
        let mut kept = kept.lock().await;
        if kept.uid != stack.uid() {
            *kept = Kept { uid: stack.uid(), ..Kept::default() };
        }
        let is_edited = kept.generation != stack.meta_generation();
        if let Some(pause) = kept.pause(is_edited) {
            return Ok(Action::requeue(pause));
        }
        (kept.generation, kept.began) = (stack.meta_generation(), Some(Instant::now()));
        let began = Instant::now();
        let (namespace, name) = (stack.namespace().unwrap_or_default(), stack.name_any());
        let generation = stack.meta().generation;
        let traced = Traced::begin(&self.tracer, &namespace, &name, generation);
        *kept.memory.trail() = Trail::default();
        let reconciling = Box::pin(async {
            let span = trail::span(&namespace, &name, generation, &self.random);
            let reconciling = tokio::time::timeout(RECONCILE_MAX, reconcile(self, stack, &mut kept.memory));
            (reconciling.instrument(span.clone()).await, span)
        });
        let (ended, span) = traces::within(traced.current(), reconciling).await;
        self.queue.end();
        let (took, ended) = (began.elapsed(), ended.unwrap_or(Err(Error::TimedOut(RECONCILE_MAX.as_secs()))));
        let _in_span = span.entered();
        let trail = kept.memory.trail();
        self.metrics.reconciled(trail.came_to(&ended), took, traced.current().map(|it| it.context));
        traced.end(trail.came_to(&ended), &ended);
        trail.tell(took, &ended);
        match ended {
            Ok(action) => {
                (kept.failures, kept.not_before) = (0, None);
                Ok(action)
            }
            // Nothing more can be made there, and all that is there goes.
            Err(error) if error.is_namespace_terminating() => Ok(Action::requeue(BACKOFF_MAX)),
            Err(error) => {
                let pause = pause_after(kept.failures, &self.random);
                kept.failures = kept.failures.saturating_add(1);
                kept.not_before = Some(Instant::now() + pause);
                self.metrics.failed(error.reason());
                tracing::warn!(failures = kept.failures, ?pause, %error, "a reconcile did not come to its end");
                Ok(Action::requeue(pause))
            }
        }
    }
}

/// A stack that names no version, at this one; a tag that it names stays.
fn at_version(mut stack: Stack, spec: &HealthcareStackSpec, version: &str) -> Stack {
    version.clone_into(&mut stack.version);
    if spec.image.as_ref().is_none_or(|image| image.tag.is_none()) {
        version.clone_into(&mut stack.image.tag);
    }
    stack
}

/// What the operator is started with.
pub struct Start {
    /// The API server.
    pub client: Client,
    /// Whose stacks.
    pub scope: Scope,
    /// The queue, as it is known to the health check too.
    pub queue: Queue,
    /// Signs of life.
    pub signs: Signs,
    /// What is counted.
    pub metrics: Metrics,
    /// Where traces go, if anywhere.
    pub tracer: Tracer,
    /// What Events say who wrote them.
    pub host: String,
    /// What stacks run that name no version. `None`: the version of this program.
    pub stack_version: Option<String>,
    /// The operator's own image, if it was told.
    pub image: Option<String>,
}

/// Runs until `stop` says so; reconciles that are under way then come to their end. `listed` is called when all is known that there is.
pub async fn run(
    start: Start,
    requests: impl Stream<Item = ObjectRef<Guarded>> + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
    listed: impl FnOnce() + Send,
) -> Result<(), Error> {
    let Start { client, scope, queue, signs, metrics, tracer, host, stack_version, image } = start;
    let capabilities = discover::capabilities(&client).await?;
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(host) };
    let operator = Arc::new(Operator {
        recorder: Recorder::new(client.clone(), reporter),
        live: Live::default(),
        secrets: SecretVersions::default(),
        lists: Lists::default(),
        clock: Clock::system(),
        random: Random::system(),
        tracer,
        stack_version,
        image,
        capabilities: RwLock::new(capabilities),
        stacks: Mutex::default(),
        client,
        queue,
        metrics,
    });
    let mut watches = Watches::new(Arc::clone(&operator), scope.clone(), signs.clone());
    watches.begin(capabilities);
    watches.all_listed().await;
    let (store, writer) = reflector::store();
    let mut tasks = JoinSet::new();
    tasks.spawn(stacks::watch(
        operator.client.clone(),
        scope.watched(),
        writer,
        operator.queue.clone(),
        signs,
    ));
    tasks.spawn(watches.keep());
    store.wait_until_ready().await.map_err(|_| Error::Stuck("the watch of stacks ended".to_owned()))?;
    listed();
    let (shared, newest) = (Arc::clone(&operator), store.clone());
    let loops = applier(
        move |stack: Arc<Guarded>, operator: Arc<Operator>| {
            let newest = newest.clone();
            async move { operator.attempt(&newest, &stack).await }.boxed()
        },
        // Errors have become pauses already.
        |_, _: &Error, _| Action::requeue(BACKOFF_MAX),
        Arc::clone(&operator),
        store,
        requests.map(Ok::<_, Infallible>).take_until(stop),
        Config::default().concurrency(AT_ONCE),
    );
    let reconciles = loops.for_each(|ended| {
        if let Err(LoopError::ObjectNotFound(gone)) = &ended {
            let namespace = gone.namespace.clone().unwrap_or_default();
            shared.queue.begin(&crate::queue::reference(&namespace, &gone.name));
            shared.forget(&StackId { label: stack::names::label(&gone.name), namespace });
        }
        std::future::ready(())
    });
    tokio::select! {
        () = reconciles => Ok(()),
        _ = tasks.join_next() => Err(Error::Stuck("a watch ended".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher;

    /// The loop reads a stack when it pops it, and looks at it later.
    #[tokio::test]
    async fn what_happens_to_a_stack_between_its_turn_and_its_reconcile_is_not_lost() {
        let operator = Operator::new(crate::answers::client(|_, _| crate::answers::not_found()));
        let (store, mut writer) = reflector::store();
        let edited = |generation| {
            let mut stack = HealthcareStack::new("clinic", HealthcareStackSpec::default());
            stack.spec.paused = true;
            stack.metadata.namespace = Some("clinic".to_owned());
            stack.metadata.generation = Some(generation);
            kube::core::DeserializeGuard(Ok(stack))
        };
        let id = stacks::id(&edited(1));
        operator.queue.meet(&id, "clinic");
        operator.queue.push(&id);
        writer.apply_watcher_event(&watcher::Event::Apply(edited(2)));
        // It waits already, so that this adds nothing.
        operator.queue.push(&id);
        operator.attempt(&store, &edited(1)).await.expect("looked at");
        assert_eq!(operator.kept(&id).lock().await.generation, Some(4));
        // It went meanwhile: nobody else would forget what is remembered of it.
        writer.apply_watcher_event(&watcher::Event::Delete(edited(2)));
        operator.attempt(&store, &edited(2)).await.expect("looked at");
        assert!(operator.stacks.lock().expect("whole").is_empty());
    }

    #[test]
    fn a_stack_without_a_version_runs_the_operators_and_others_what_they_name() {
        for (spec, version, tag) in [
            ("{}", "own-7", "own-7"),
            ("{version: 0.2.0}", "0.2.0", "0.2.0"),
            ("{image: {tag: edge}}", "own-7", "edge"),
        ] {
            let yaml = format!(
                "{{apiVersion: healthcarestack.dev/v1alpha1, kind: HealthcareStack, metadata: {{name: clinic}}, spec: {spec}}}"
            );
            let mut stack = Stack::from_yaml(&yaml).expect("a stack");
            let resource: HealthcareStack = serde_saphyr::from_str(&yaml).expect("a resource");
            if resource.spec.version.is_none() {
                stack = at_version(stack, &resource.spec, "own-7");
            }
            assert_eq!((stack.version.as_str(), stack.image.tag.as_str()), (version, tag), "{spec}");
        }
    }
}
