//! A turn at a calendar: taken when it is due, and what came of it kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Fault, Lost, Progress, SOON, State, Stop, Worker, backoff, is_whole_due};
use crate::store::outside::{Outcome, lease_hold, lease_return, lease_take};

/// A third of how long a lease lasts.
const HOLD_EVERY: Duration = Duration::from_secs(20);

/// What a turn has to tell.
#[derive(Default)]
pub(super) struct Report {
    /// Events that the other side refuses, and with which status.
    pub(super) refused: Option<(u32, u16)>,
    /// How often it could not just now, and how the first time.
    pub(super) troubles: u32,
    pub(super) trouble: Option<Fault>,
    /// Whether something was changed there while it was written here.
    pub(super) is_overtaken: bool,
    /// What to ask with next time.
    pub(super) token: Option<String>,
    /// Whether all of it was read.
    pub(super) is_whole: bool,
}

impl Worker {
    /// Takes a turn if the calendar is due and nobody is at it. Whether it was.
    pub async fn turn(&self) -> Result<bool, Lost> {
        let Some(progress) = lease_take(self.db(), &self.lease).await? else { return Ok(false) };
        let outcome = tokio::select! {
            outcome = self.go(&progress) => outcome,
            lost = self.hold_on() => Err(lost.into()),
        };
        let now = self.api.now();
        match outcome {
            Ok(report) => self.succeeded(&progress, &report, now).await?,
            Err(Stop::Lost(Lost::Lease)) => return Err(Lost::Lease),
            Err(stop) => self.failed(&progress, &stop, now).await?,
        }
        Ok(true)
    }

    /// Says again and again that somebody is at it, however long the other side takes to answer. Ends if somebody else is.
    async fn hold_on(&self) -> Lost {
        loop {
            tokio::time::sleep(HOLD_EVERY).await;
            let held = db::retrying(self.db(), async |mut tx| {
                lease_hold(&mut tx, &self.lease).await?;
                Ok::<_, Lost>(tx.commit_unaudited().await?)
            });
            match held.await {
                Err(Lost::Lease) => return Lost::Lease,
                Err(error) => tracing::warn!(calendar = self.name(), %error, "a calendar could not be held"),
                Ok(()) => {}
            }
        }
    }

    async fn go(&self, progress: &Progress) -> Result<Report, Stop> {
        let mut report = self.pull(progress).await?;
        self.push(&mut report).await?;
        self.watch().await?;
        Ok(report)
    }

    async fn succeeded(&self, progress: &Progress, report: &Report, now: DateTime<Utc>) -> Result<(), Lost> {
        let refused = report.refused.map(|(events, status)| {
            format!("The calendar's server does not take {events} of the appointments ({status}).")
        });
        let poll = TimeDelta::seconds(i64::from(self.settings.poll_seconds));
        let outcome = Outcome {
            state: if refused.is_some() { State::Refused } else { State::Ok },
            error: refused.as_deref(),
            // Where it is not as it was known to be, all of it is read again.
            sync_token: report.token.as_deref().filter(|_| !report.is_overtaken),
            whole_at: if report.is_whole { Some(now) } else { progress.whole_at },
            failures: 0,
            next_at: now + if report.is_overtaken { SOON.min(poll) } else { poll },
        };
        self.turns.count(self.name(), outcome.state);
        lease_return(self.db(), &self.lease, &outcome).await
    }

    async fn failed(&self, progress: &Progress, stop: &Stop, now: DateTime<Utc>) -> Result<(), Lost> {
        let (state, error, asked) = match stop {
            Stop::Outside(fault) => (fault.state(), fault.to_string(), fault.retry_after()),
            // Our own trouble is no word about the calendar; it is in our log.
            stop => {
                tracing::warn!(calendar = self.name(), error = %stop, "a calendar could not be kept in step");
                (State::Unreachable, "The stack could not look at the calendar just now.".to_owned(), None)
            }
        };
        let outcome = Outcome {
            state,
            error: Some(&error),
            sync_token: progress.sync_token.as_deref(),
            whole_at: progress.whole_at,
            failures: progress.failures + 1,
            next_at: now + backoff(self.settings.poll_interval(), progress.failures, asked),
        };
        self.turns.count(self.name(), outcome.state);
        lease_return(self.db(), &self.lease, &outcome).await
    }

    /// Whether all of the calendar is to be read.
    pub(super) fn token<'a>(&self, progress: &'a Progress) -> Option<&'a str> {
        let is_whole = is_whole_due(progress.whole_at, self.api.now());
        progress.sync_token.as_deref().filter(|_| !is_whole)
    }
}
