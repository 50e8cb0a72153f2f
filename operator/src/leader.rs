//! Who leads: one Lease, taken and renewed as client-go's leader election does it.
//!
//! Safe by three rules. A write of the Lease carries the version that it was read at, so that of two takers one is refused. How old another
//! holder's Lease is, is measured here, from when it was first *seen* as it is: clocks of other machines decide nothing. And the
//! [`Fence`] closes before the Lease runs out, so that a leader that was frozen, or cut off, writes nothing when it wakes.
//!
//! No crate is used for this: see `docs/adr/0006-leading-by-a-lease-of-our-own.md`.

use std::time::Duration;

use contracts::ambient::{Clock, Random};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::transport::Fence;

/// The Lease that replicas of one operator contend for.
pub const LEASE: &str = "healthcare-operator";

/// How long others wait for a leader of which nothing is heard.
const DURATION: Duration = Duration::from_secs(15);
/// After so long without a renewal a leader writes no more: well before others may begin.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// How often a Lease is renewed, or looked at.
const EVERY: Duration = Duration::from_secs(2);
/// A request about the Lease that takes longer has failed: there is another to be tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// A replica that wants to lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    fence: Fence,
    seen: Option<Sight>,
}

/// A Lease as it was first seen.
#[derive(Clone, Debug)]
struct Sight {
    lease: Lease,
    since: Instant,
}

impl Candidate {
    /// A candidate for the Lease in a namespace. Until it leads it may not write.
    pub fn new(
        client: Client,
        namespace: &str,
        host: &str,
        clock: Clock,
        random: &Random,
        fence: Fence,
    ) -> Self {
        fence.close();
        Self {
            api: Api::namespaced(client, namespace),
            name: LEASE.to_owned(),
            identity: random.id(host),
            clock,
            fence,
            seen: None,
        }
    }

    /// Returns when this replica leads.
    pub async fn lead(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be looked at"),
            }
            sleep(EVERY).await;
        }
    }

    /// Renews the Lease, and returns when it is lost.
    pub async fn keep(&mut self) -> Error {
        let mut renewed = Instant::now();
        loop {
            sleep(EVERY).await;
            match self.attempt().await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => break,
                Err(error) => tracing::warn!(%error, "the lease cannot be renewed"),
            }
            if renewed.elapsed() >= RENEW_WITHIN {
                break;
            }
        }
        self.fence.close();
        Error::LeaseLost(self.name.clone())
    }

    /// Gives the Lease back, so that another replica need not wait for it to run out. Writes no more.
    pub async fn release(&mut self) {
        self.fence.close();
        let Some(Sight { lease, .. }) = &self.seen else { return };
        if holder(lease) != Some(self.identity.as_str()) {
            return;
        }
        let mut lease = lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(self.now());
        }
        let params = PostParams::default();
        let released = self.api.replace(&self.name, &params, &lease);
        if !matches!(tokio::time::timeout(ANSWER_WITHIN, released).await, Ok(Ok(_))) {
            tracing::info!("the lease was not given back; it runs out by itself");
        }
    }

    /// One look, and one write if it is this replica's turn. Answers whether it leads.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let asked = Instant::now();
        let what = format!("the lease {}", self.name);
        match tokio::time::timeout(ANSWER_WITHIN, self.try_once()).await {
            Ok(Ok(leads)) => {
                if leads {
                    self.fence.open_until(asked + RENEW_WITHIN);
                }
                Ok(leads)
            }
            // A conflict among others: somebody wrote to it meanwhile. Who leads is seen at the next look.
            Ok(Err(error)) => {
                self.seen = None;
                Err(Error::api(what)(error))
            }
            Err(_) => {
                self.seen = None;
                Err(Error::TimedOut(ANSWER_WITHIN.as_secs()))
            }
        }
    }

    async fn try_once(&mut self) -> Result<bool, kube::Error> {
        // Its own Lease need not be read before it is renewed: the version tells if it is another's by now.
        let known = self.seen.as_ref().filter(|sight| holder(&sight.lease) == Some(self.identity.as_str()));
        let lease = match known {
            Some(sight) => Some(sight.lease.clone()),
            None => self.api.get_opt(&self.name).await?,
        };
        let Some(lease) = lease else {
            let made = self.api.create(&PostParams::default(), &self.taken(None)).await?;
            self.see(made);
            return Ok(true);
        };
        let since = self.see(lease.clone());
        if !may_take(&lease, &self.identity, since.elapsed()) {
            return Ok(false);
        }
        let taken = self.api.replace(&self.name, &PostParams::default(), &self.taken(Some(&lease))).await?;
        self.see(taken);
        Ok(true)
    }

    /// Since when the Lease has been as it is.
    fn see(&mut self, lease: Lease) -> Instant {
        let is_as_before = self
            .seen
            .as_ref()
            .is_some_and(|sight| sight.lease.metadata.resource_version == lease.metadata.resource_version);
        match &self.seen {
            Some(sight) if is_as_before => sight.since,
            _ => {
                let since = Instant::now();
                self.seen = Some(Sight { lease, since });
                since
            }
        }
    }

    /// The Lease with this replica as its holder.
    fn taken(&self, before: Option<&Lease>) -> Lease {
        let spec = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let is_mine = spec.holder_identity.as_deref() == Some(self.identity.as_str());
        let now = self.now();
        Lease {
            metadata: before.map_or_else(
                || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                acquire_time: if is_mine { spec.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(
                    spec.lease_transitions.unwrap_or(0) + i32::from(before.is_some() && !is_mine),
                ),
                ..spec
            }),
        }
    }

    fn now(&self) -> MicroTime {
        MicroTime(Timestamp::from_microsecond(self.clock.now().timestamp_micros()).unwrap_or_default())
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Whether a Lease may be taken that has been as it is for so long.
fn may_take(lease: &Lease, identity: &str, unchanged_for: Duration) -> bool {
    let Some(holder) = holder(lease) else { return true };
    let stated = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let duration =
        stated.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DURATION, Duration::from_secs);
    holder == identity || unchanged_for > duration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_is_taken_that_nobody_holds_or_that_ran_out() {
        assert!(may_take(&lease(None), "a", Duration::ZERO));
        assert!(may_take(&lease(Some("")), "a", Duration::ZERO));
        assert!(may_take(&lease(Some("a")), "a", Duration::ZERO));
        assert!(!may_take(&lease(Some("b")), "a", Duration::from_secs(15)));
        assert!(may_take(&lease(Some("b")), "a", Duration::from_secs(16)));
    }

    #[test]
    fn a_leader_stops_writing_before_another_may_begin() {
        assert!(RENEW_WITHIN + EVERY < DURATION);
        assert!(EVERY + ANSWER_WITHIN < RENEW_WITHIN);
    }
}
