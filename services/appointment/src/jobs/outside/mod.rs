//! Keeps calendars outside and the appointments in step: what was changed there is taken in, then what was changed here is written.
//!
//! All that is known is in the database: whoever dies in the middle, wherever that is, leaves nothing that the next one does not see. One worker is at
//! a calendar at a time, among all replicas, and keeps what it has found out only while that is so.

mod meter;
mod pull;
mod push;
mod settle;
mod turn;
mod watch;

pub use push::to_come;
pub use settle::{Named, calendars_settle, settle, settle_on};

use std::time::Duration;

use calendar::read::Reading;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::ProviderId;
use db::Db;
use http_kit::Kit;
use http_kit::kit::{BoxFuture, BuildError};
use settings::CalendarSettings;

use meter::Turns;

use crate::api::Api;
use crate::domain::outside::{State, ahead, backoff, is_whole_due};
use crate::error::Error;
use crate::outside::{Fault, Outside, target_hash};
use crate::store::outside::{Lease, Lost, Progress};

/// How often it is looked whether a calendar is due.
const TICK: Duration = Duration::from_secs(1);
/// What was changed there and here at the same time is looked at again so soon.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// Until it is tried again to add a calendar, or to forget one.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// Why a turn ended before its end.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Outside(#[from] Fault),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Ours(#[from] Error),
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<contracts::problem::Problem> for Stop {
    fn from(problem: contracts::problem::Problem) -> Self {
        Self::Ours(problem.into())
    }
}

impl db::Retry for Stop {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Outside(_) => false,
            Self::Lost(error) => error.is_retryable(),
            Self::Ours(error) => error.is_retryable(),
        }
    }
}

/// A worker at one calendar.
pub struct Worker {
    api: Api,
    outside: Outside,
    settings: CalendarSettings,
    provider: Option<ProviderId>,
    lease: Lease,
    turns: Turns,
    /// Where the gateway is reached from outside, without a slash at its end.
    public_url: Option<String>,
}

impl Worker {
    fn db(&self) -> &Db {
        &self.api.db
    }

    fn name(&self) -> &str {
        &self.settings.name
    }

    /// By whom a change is that was made there.
    fn actor(&self) -> String {
        format!("calendar:{}", self.name())
    }
}

/// What of a calendar is looked at.
fn reading(zone: chrono_tz::Tz, now: DateTime<Utc>) -> Reading {
    let span = ahead(now);
    Reading { zone, from: span.starts_at, before: span.ends_at }
}

/// The work at the calendars of the settings; what is known of others goes, as soon as it can. Nothing of it is done before the service is up.
pub fn jobs(kit: &Kit, api: &Api) -> Result<Vec<BoxFuture<'static, ()>>, BuildError> {
    let calendars = &kit.settings.integrations.calendars;
    let mut named = Vec::with_capacity(calendars.len());
    for settings in calendars {
        named.push((settings.name.clone(), target_hash(&kit.db, settings)?));
    }
    let mut jobs = Vec::<BoxFuture<'static, ()>>::with_capacity(calendars.len() + 1);
    for worker in workers(kit, api, &named)? {
        jobs.push(Box::pin(run(worker)));
    }
    jobs.push(Box::pin(settle(kit.db.clone(), named, FORGET_EVERY)));
    Ok(jobs)
}

fn workers(kit: &Kit, api: &Api, named: &[Named]) -> Result<Vec<Worker>, BuildError> {
    let calendars = &kit.settings.integrations.calendars;
    let turns = Turns::default();
    if !calendars.is_empty() {
        turns.register(&kit.world.metrics);
    }
    let public_url = kit.settings.integrations.public_url.as_deref();
    let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
    let worker = |(settings, (calendar, target)): (&CalendarSettings, &Named)| {
        let (calendar, target) = (calendar.clone(), target.clone());
        Ok(Worker {
            api: api.clone(),
            outside: Outside::new(settings, &kit.db, &kit.world.secrets)?,
            provider: settings.provider_id.clone().map(ProviderId::trusted),
            lease: Lease { calendar, target, by: kit.db.random().id("wrk") },
            settings: settings.clone(),
            turns: turns.clone(),
            public_url: public_url.clone(),
        })
    };
    calendars.iter().zip(named).map(worker).collect()
}

/// Again and again.
async fn run(worker: Worker) {
    loop {
        if let Err(error) = worker.turn().await {
            tracing::warn!(calendar = worker.name(), %error, "a calendar could not be kept in step");
        }
        tokio::time::sleep(TICK).await;
    }
}
