//! [`Watches`]: those of what stacks consist of; those of other software's kinds come and go with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
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
    missing: Arc<(Mutex<usize>, Notify)>,
}

impl Watches {
    pub(super) fn new(operator: Arc<Operator>, scope: Scope, signs: Signs) -> Self {
        let sink = Sink {
            client: operator.client.clone(),
            live: operator.live.clone(),
            secrets: operator.secrets.clone(),
            queue: operator.queue.clone(),
            signs,
        };
        Self {
            operator,
            scope,
            sink,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            missing: Arc::default(),
        }
    }

    /// Begins those that are not there yet, ends those whose kind is gone.
    pub(super) fn begin(&mut self, capabilities: Capabilities) {
        let known: HashMap<_, _> = Kind::known(&capabilities).collect();
        self.running.retain(|id, watches| {
            let stays = known.contains_key(id);
            if !stays {
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
                *self.missing.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                let missing = Arc::clone(&self.missing);
                let listed = move || {
                    *missing.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                    missing.1.notify_one();
                };
                let path =
                    <crate::thin::Thin as kube::Resource>::url_path(&kind.resource, namespace.as_deref());
                (path, self.tasks.spawn(watch::watch(self.sink.clone(), id, namespace, listed)))
            });
            let begun = begun.collect();
            self.running.insert(id, begun);
        }
    }

    /// Returns when every watch has listed what there is.
    pub(super) async fn all_listed(&self) {
        while *self.missing.0.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
            self.missing.1.notified().await;
        }
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
