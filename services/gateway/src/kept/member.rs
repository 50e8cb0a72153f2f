//! [`Member`]: one endpoint as a group of routes uses it, and what is said of it when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resilience::breaker::Breaker;
use resilience::health::{EjectionConfig, Failure, Standing};
use settings::{Address, Protocol};

use crate::upstream::Endpoint;

/// One endpoint in a lane.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) service: Arc<str>,
    pub(crate) address: Address,
    pub(super) server_name: Option<String>,
    pub(super) protocol: Protocol,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) breaker: Option<Breaker>,
    pub(super) ejection: EjectionConfig,
    /// All of the lane's, itself among them.
    pub(super) all: Arc<[Arc<Endpoint>]>,
}

impl Member {
    /// An attempt failed in a way that speaks against the endpoint.
    pub(crate) fn failed(&self, now: Instant, failure: Failure) {
        let Some(time) = self.endpoint.health.failed(now, failure, &self.ejection) else { return };
        let Self { service, address, .. } = self;
        let aside = match self.all.len() {
            1 => Err("the only endpoint fails; it is sent to all the same"),
            all if self.unwell(now) > all / 2 => {
                Err("an endpoint fails as most do: all are sent to all the same")
            }
            _ => Ok(time),
        };
        match aside {
            Ok(time) => {
                tracing::warn!(%service, endpoint = %address, ?failure, ?time, "an endpoint is set aside");
            }
            Err(instead) => tracing::warn!(%service, endpoint = %address, ?failure, "{instead}"),
        }
    }

    /// How many of the lane's endpoints are not well.
    fn unwell(&self, now: Instant) -> usize {
        let is_unwell = |endpoint: &&Arc<Endpoint>| {
            matches!(endpoint.health.standing(now, Duration::ZERO), Standing::Ejected | Standing::Down)
        };
        self.all.iter().filter(is_unwell).count()
    }
}
