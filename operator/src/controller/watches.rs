//! [`Watches`]: those of what stacks consist of; those of other software's kinds come and go with it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Operator;
use crate::discover;
use crate::kinds::{Kind, KindId};
use crate::plan::Capabilities;
use crate::scope::Scope;
use crate::transport::Signs;
use crate::watch::{self, Sink};

/// How often it is asked what software the cluster has.
const DISCOVER_EVERY: Duration = Duration::from_mins(1);

/// The watches of what stacks consist of; those of other software's kinds come and go with it.
pub(super) struct Watches {
    operator: Arc<Operator>,
    scope: Scope,
    sink: Sink,
    tasks: JoinSet<()>,
    running: HashMap<KindId, Vec<(String, tokio::task::AbortHandle)>>,
}

impl Watches {
    pub(super) fn new(operator: Arc<Operator>, scope: Scope, signs: Signs) -> Self {
        let sink = Sink {
            client: operator.client.clone(),
            live: operator.live.clone(),
            secrets: operator.secrets.clone(),
            queue: operator.queue.clone(),
            lists: operator.lists.clone(),
            signs,
        };
        Self { operator, scope, sink, tasks: JoinSet::new(), running: HashMap::new() }
    }

    /// Begins those that are not there yet, ends those whose kind is gone.
    pub(super) fn begin(&mut self, capabilities: Capabilities) {
        let known: HashMap<_, _> = Kind::known(&capabilities).collect();
        self.running.retain(|id, watches| {
            let stays = known.contains_key(id);
            if !stays {
                self.sink.lists.forget(*id);
                for (path, task) in watches {
                    self.sink.signs.forget(path);
                    task.abort();
                }
            }
            stays
        });
        for (id, kind) in known {
            if self.running.contains_key(&id) {
                continue;
            }
            let begun = self.scope.watched().into_iter().map(|namespace| {
                self.sink.lists.expect((id, namespace.clone()));
                let path =
                    <crate::thin::Thin as kube::Resource>::url_path(&kind.resource, namespace.as_deref());
                (path, self.tasks.spawn(watch::watch(self.sink.clone(), id, namespace)))
            });
            let begun = begun.collect();
            self.running.insert(id, begun);
        }
    }

    /// Returns when every watch has listed what there is, or may not: see [`crate::lists`].
    pub(super) async fn all_listed(&self) {
        self.sink.lists.all_answered().await;
    }

    /// Asks now and then what software there is. Returns when a watch ends by itself, which none does.
    pub(super) async fn keep(mut self) {
        let mut tick = tokio::time::interval(DISCOVER_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.discover().await,
                Some(ended) = self.tasks.join_next() => {
                    if !ended.is_err_and(|error| error.is_cancelled()) {
                        return;
                    }
                }
            }
        }
    }

    async fn discover(&mut self) {
        let capabilities = match discover::capabilities(&self.operator.client).await {
            Ok(capabilities) => capabilities,
            Err(error) => {
                tracing::warn!(%error, "what software the cluster has cannot be asked");
                return;
            }
        };
        if capabilities == self.operator.capabilities() {
            return;
        }
        tracing::info!(?capabilities, "the cluster has other software now");
        *self.operator.capabilities.write().unwrap_or_else(PoisonError::into_inner) = capabilities;
        self.begin(capabilities);
        self.operator.queue.push_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::answers;
    use crate::live::StackId;
    use crate::metrics::Metrics;
    use crate::queue::Queue;
    use futures_util::{FutureExt, StreamExt};

    /// The namespace was deleted, and the operator's Role with it.
    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_may_not_be_listed_holds_no_other_up_and_is_looked_at_when_it_may() {
        let allowed = Arc::new(AtomicBool::new(false));
        let answers_now = Arc::clone(&allowed);
        let client = answers::client(move |_, path| {
            if path.contains("/namespaces/gone/") && !answers_now.load(Ordering::SeqCst) {
                return answers::refused(403, "Forbidden");
            }
            answers::list("Object", &[])
        });
        let (queue, waiting) = Queue::new(Metrics::new());
        let operator = Arc::new(Operator { queue: queue.clone(), ..Operator::new(client) });
        let scope = Scope::Namespaces(["gone".to_owned(), "there".to_owned()].into());
        let mut watches = Watches::new(Arc::clone(&operator), scope, Signs::default());
        watches.begin(Capabilities::default());
        let listed = tokio::time::timeout(Duration::from_mins(1), watches.all_listed());
        listed.await.expect("the others do not wait for it");
        let own = Kind::known(&Capabilities::default()).count();
        assert_eq!(operator.lists.refused("gone").len(), own);
        assert_eq!(operator.lists.refused("there").len(), 0);
        queue.meet(&StackId { namespace: "gone".to_owned(), label: "clinic".to_owned() }, "clinic");
        let mut waiting = std::pin::pin!(waiting);
        assert_eq!(waiting.next().now_or_never(), None);
        allowed.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(operator.lists.refused("gone").len(), 0);
        assert!(waiting.next().now_or_never().is_some(), "its stacks are looked at");
    }
}
