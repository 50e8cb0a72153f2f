//! What is heard of configuration and endpoints, put together and applied.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client, ResourceExt};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use settings::{GATEWAY_NAME, GatewayConfig};
use tokio::sync::{mpsc, watch};

use super::Place;
use super::collection::{self, Change, Heard, Selection};
use super::endpoints::{SERVICE_LABEL, Slice, resolve, services};
use crate::config::from_json;
use crate::process::{Keys, Process, auth_address};
use crate::{ConfigError, Error};

/// The ConfigMap's key.
const KEY: &str = "gateway.json";
/// So many things heard and not yet looked at; then the API server waits.
const EVENTS_MAX: usize = 64;
/// Nothing heard for so long, and the client is made anew: its certificates may have been exchanged.
const CLIENT_MAX: Duration = Duration::from_mins(2);

/// Something was heard.
enum Event {
    Config(Change<ConfigMap>),
    /// Of these Services' slices.
    Slices(BTreeSet<String>, Change<EndpointSlice>),
}

/// Follows configuration and endpoints for as long as the future lives; starts the gateway when both are known for the first time.
pub(crate) async fn follow(
    process: &Process,
    namespace: &str,
    config_map: &str,
    place: &Place,
) -> Result<Infallible, Error> {
    let heard = Arc::new([Heard::default(), Heard::default()]);
    let age = Age(Arc::clone(&heard));
    process.metrics.register(GATEWAY_NAME, |registry| registry.register_collector(Box::new(age)));
    let (wanted, wanted_seen) = watch::channel(BTreeSet::new());
    let (events, mut heard_events) = mpsc::channel(EVENTS_MAX);
    let hear = hear(namespace, config_map, &wanted_seen, &heard, &events);
    let apply = async {
        let mut state = State { place: place.clone(), ..State::default() };
        while let Some(event) = heard_events.recv().await {
            state.take(event, process);
            while let Ok(event) = heard_events.try_recv() {
                state.take(event, process);
            }
            wanted.send_if_modified(|wanted| {
                let named = state.services();
                std::mem::replace(wanted, named.clone()) != named
            });
            state.settle(process).await?;
        }
        std::future::pending().await
    };
    tokio::select! { result = hear => result, result = apply => result }
}

/// Listens to the API server, with a new client when nothing was heard for long.
async fn hear(
    namespace: &str,
    config_map: &str,
    wanted: &watch::Receiver<BTreeSet<String>>,
    heard: &[Heard; 2],
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Error> {
    let [config_heard, slices_heard] = heard;
    // The first is for whoever started the process to know; what goes wrong later may come right again.
    let mut client = new_client().await?;
    loop {
        let configuration = collection::follow(
            Api::namespaced(client.clone(), namespace),
            Selection { fields: format!("metadata.name={config_map}"), ..Selection::default() },
            config_heard,
            async |change| send(events, Event::Config(change)).await,
        );
        let slices =
            hear_slices(Api::namespaced(client.clone(), namespace), wanted.clone(), slices_heard, events);
        let stale = async {
            tokio::time::sleep(CLIENT_MAX).await;
            while config_heard.age() < CLIENT_MAX {
                tokio::time::sleep(CLIENT_MAX / 4).await;
            }
        };
        tokio::select! {
            () = configuration => {}
            () = slices => {}
            () = stale => match new_client().await {
                Ok(new) => client = new,
                Err(error) => tracing::warn!(%error, "the old client stays in use"),
            },
        }
    }
}

async fn new_client() -> Result<Client, Error> {
    let config = kube::Config::infer().await.map_err(|error| format!("no way to the API server: {error}"))?;
    Ok(Client::try_from(config)?)
}

/// Listens to the slices of the Services that are wanted, which may change.
async fn hear_slices(
    api: Api<EndpointSlice>,
    mut wanted: watch::Receiver<BTreeSet<String>>,
    heard: &Heard,
    events: &mpsc::Sender<Event>,
) {
    loop {
        let services = wanted.borrow_and_update().clone();
        let names = services.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let selection = Selection { labels: format!("{SERVICE_LABEL} in ({names})"), ..Selection::default() };
        let tell = async |change| send(events, Event::Slices(services.clone(), change)).await;
        let follow = async {
            if services.is_empty() {
                tell(Change::All(Vec::new())).await;
                std::future::pending::<()>().await;
            }
            collection::follow(api.clone(), selection, heard, tell).await;
        };
        tokio::select! {
            () = follow => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

async fn send(events: &mpsc::Sender<Event>, event: Event) {
    // An error means that nobody applies any more: the process ends.
    let _ = events.send(event).await;
}

/// What is known.
#[derive(Default)]
struct State {
    place: Place,
    /// As it is written in the ConfigMap, when it was last read; `None` once it was taken or refused.
    new: Option<GatewayConfig>,
    /// The last that was taken.
    good: Option<GatewayConfig>,
    in_force: Option<GatewayConfig>,
    text: Option<String>,
    /// What of it is not known here.
    passed_over: Vec<String>,
    /// By name.
    slices: BTreeMap<String, Slice>,
    /// Of these Services all slices are known.
    listed: Option<BTreeSet<String>>,
}

impl State {
    fn take(&mut self, event: Event, process: &Process) {
        match event {
            Event::Config(Change::All(mut maps)) => self.take_config(maps.pop(), process),
            Event::Config(Change::Applied(map)) => self.take_config(Some(map), process),
            Event::Config(Change::Deleted(_)) => self.take_config(None, process),
            Event::Slices(of, Change::All(slices)) => {
                let node = self.place.node.as_deref();
                let known =
                    slices.iter().filter_map(|slice| Some((slice.name_any(), Slice::of(slice, node)?)));
                self.slices = known.collect();
                self.listed = Some(of);
            }
            Event::Slices(_, Change::Applied(slice)) => {
                let name = slice.name_any();
                match Slice::of(&slice, self.place.node.as_deref()) {
                    Some(slice) => drop(self.slices.insert(name, slice)),
                    None => drop(self.slices.remove(&name)),
                }
            }
            Event::Slices(_, Change::Deleted(name)) => drop(self.slices.remove(&name)),
        }
    }

    fn take_config(&mut self, map: Option<ConfigMap>, process: &Process) {
        let Some(mut map) = map else {
            tracing::warn!("the ConfigMap is gone; what is in force stays");
            self.text = None;
            return;
        };
        let text = map.data.as_mut().and_then(|data| data.remove(KEY)).unwrap_or_default();
        if self.text.as_ref() == Some(&text) {
            return;
        }
        match from_json(&text) {
            Ok((config, unknown)) => {
                if !unknown.is_empty() && unknown != self.passed_over {
                    tracing::warn!(
                        members = unknown.join(", "),
                        "passed over: the operator is newer than this gateway"
                    );
                }
                self.passed_over = unknown;
                self.new = Some(config);
            }
            Err(error) => process.changes.refused(&format_args!("{KEY}: {error}")),
        }
        self.text = Some(text);
    }

    /// The Services whose pods are to be known.
    fn services(&self) -> BTreeSet<String> {
        self.new.iter().chain(&self.good).flat_map(services).collect()
    }

    /// Makes what is known true, if it is not yet.
    async fn settle(&mut self, process: &Process) -> Result<(), Error> {
        if let Some(new) = self.new.take() {
            match self.is_taken(&new, process).await? {
                Some(true) => self.good = Some(new),
                // What was good before is good with other pods too.
                Some(false) => {}
                None => {
                    self.new = Some(new);
                    return Ok(());
                }
            }
        }
        if let Some(good) = self.good.take() {
            self.is_taken(&good, process).await?;
            self.good = Some(good);
        }
        Ok(())
    }

    /// Whether a configuration is taken into force with the pods that are known; `None`: not yet.
    async fn is_taken(&mut self, written: &GatewayConfig, process: &Process) -> Result<Option<bool>, Error> {
        let resolved = resolve(written, self.slices.values());
        if self.in_force.as_ref() == Some(&resolved) {
            return Ok(Some(true));
        }
        let is_taken = match process.gateway() {
            Some(gateway) => {
                if self.good.as_ref().is_some_and(|good| good.auth != written.auth) {
                    tracing::warn!(
                        "issuer and audience of tokens are read once; they change with the next start"
                    );
                }
                process.apply(gateway, &resolved)
            }
            // Nobody is let in before it is known where to.
            None if self.listed.as_ref().is_none_or(|listed| !services(written).is_subset(listed)) => {
                return Ok(None);
            }
            None => match begin(process, written, &resolved).await {
                Ok(()) => true,
                Err(error) => {
                    process.changes.refused(&error.downcast::<ConfigError>()?);
                    false
                }
            },
        };
        if is_taken {
            self.in_force = Some(resolved);
        }
        Ok(Some(is_taken))
    }
}

/// Starts the gateway. Auth is asked at its Service, which stays when its pods change.
async fn begin(process: &Process, written: &GatewayConfig, resolved: &GatewayConfig) -> Result<(), Error> {
    let auth = auth_address(written)?;
    process.start(resolved, Keys::At(auth.clone()), Some(&auth)).await.map(drop)
}

/// How long nothing was heard of the API server, read when the page is asked for.
#[derive(Debug)]
struct Age(Arc<[Heard; 2]>);

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(0.0_f64);
        let help = "Since the API server was last heard of";
        let mut family =
            encoder.encode_descriptor("gateway_watch_age_seconds", help, None, gauge.metric_type())?;
        for (kind, heard) in ["ConfigMap", "EndpointSlice"].into_iter().zip(&*self.0) {
            ConstGauge::new(heard.age().as_secs_f64()).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }
}
