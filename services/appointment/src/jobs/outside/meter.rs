//! [`Turns`]: what becomes of the calendars outside, counted.

use http_kit::telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use settings::ServiceName;

use crate::domain::outside::State;

/// Turns at calendars, by how each ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Family<Turn, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Turn {
    calendar: String,
    state: &'static str,
}

impl Turns {
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register(ServiceName::AppointmentService.as_str(), |registry| {
            registry.register(
                "calendar_turns",
                "Turns at calendars outside, by how each ended",
                self.0.clone(),
            );
        });
    }

    pub(super) fn count(&self, calendar: &str, state: State) {
        let turn = Turn { calendar: calendar.to_owned(), state: state.name() };
        self.0.get_or_create(&turn).inc();
    }
}
