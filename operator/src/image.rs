//! [`MissingImage`]: an image that a migration waits for in vain.
//!
//! A Job tries to pull its image for as long as it may run, an hour. Nobody waits so long to learn that a version has a missing image:
//! after [`PATIENCE`] the migration counts as failed, and what runs goes on. Where there is nothing to go back to, the Job is left at it: the
//! image may be pushed late.

use std::time::Duration;

use stack::condition::reason;
use tokio::time::Instant;

use crate::facts::is_migration;
use crate::rollout::{Facts, Progress};
use crate::stuck::Stuck;

/// A registry that stumbles is back by then, mostly.
const PATIENCE: Duration = Duration::from_secs(90);

/// An image that a migration waits for, in one generation of the spec.
#[derive(Clone, Debug)]
pub struct MissingImage {
    generation: i64,
    since: Instant,
    why: String,
}

impl MissingImage {
    /// What is known when pods have been asked again.
    pub fn after(known: Option<Self>, generation: i64, found: Option<&Stuck>) -> Option<Self> {
        let is_it =
            |stuck: &&Stuck| stuck.problem.reason == reason::IMAGE_UNAVAILABLE && is_migration(&stuck.part);
        let why = found.filter(is_it)?.problem.message.clone();
        let since =
            known.filter(|known| known.generation == generation).map_or_else(Instant::now, |it| it.since);
        Some(Self { generation, since, why })
    }

    /// Migrations that wait for it have failed, if it has been missing for long enough.
    pub fn give_up(missing: Option<&Self>, facts: &mut Facts) {
        let Some(Self { generation, since, why }) = missing else { return };
        let is_over = *generation == facts.generation && since.elapsed() >= PATIENCE;
        if is_over && matches!(facts.migrations, Progress::Waiting(_)) {
            facts.migrations = Progress::Failed(why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Stage, decide};
    use crate::validate::Problem;

    fn stuck(part: &str, reason: &'static str) -> Stuck {
        Stuck { part: part.to_owned(), problem: Problem { reason, message: "not found".to_owned() } }
    }

    fn migrating(last_healthy: Option<&str>, generation: i64) -> Facts {
        Facts {
            wanted: "2".to_owned(),
            generation,
            last_healthy: last_healthy.map(str::to_owned),
            failure: None,
            running: last_healthy.map(str::to_owned),
            database: Progress::Done,
            setup: Progress::Done,
            migrations: Progress::Waiting("Job clinic-migrate-auth is under way".to_owned()),
            rewrap: Progress::Done,
            processes_wait: false,
            services: Progress::Waiting("auth-service is not at 2 yet".to_owned()),
            gateway: Progress::Waiting("api-gateway is not at 2 yet".to_owned()),
            fallback: Progress::Done,
            available: true,
        }
    }

    fn decided(missing: Option<&MissingImage>, mut facts: Facts) -> Stage {
        MissingImage::give_up(missing, &mut facts);
        decide(&facts).stage
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_whose_migration_has_no_image_is_given_up_after_a_while() {
        let found = stuck("migrate-auth", reason::IMAGE_UNAVAILABLE);
        let mut missing = MissingImage::after(None, 1, Some(&found));
        while missing.as_ref().unwrap().since.elapsed() < PATIENCE {
            assert!(matches!(decided(missing.as_ref(), migrating(Some("1"), 1)), Stage::Migrations(_)));
            tokio::time::advance(Duration::from_secs(15)).await;
            missing = MissingImage::after(missing, 1, Some(&found));
        }
        assert_eq!(decided(missing.as_ref(), migrating(Some("1"), 1)), Stage::WentBack);
        // A first install has nothing to go back to, and goes on as soon as the image is there.
        assert_eq!(decided(missing.as_ref(), migrating(None, 1)), Stage::Failed);
        let done = Facts { migrations: Progress::Done, ..migrating(None, 1) };
        assert!(matches!(decided(missing.as_ref(), done), Stage::Services(_)));
        // Who changes the spec has decided to try again.
        assert!(matches!(decided(missing.as_ref(), migrating(Some("1"), 2)), Stage::Migrations(_)));
        let anew = MissingImage::after(missing, 2, Some(&found));
        assert!(matches!(decided(anew.as_ref(), migrating(Some("1"), 2)), Stage::Migrations(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_pulled_after_all_or_is_no_migration_is_no_versions_fault() {
        let known = MissingImage::after(None, 1, Some(&stuck("migrate-auth", reason::IMAGE_UNAVAILABLE)));
        assert!(known.is_some());
        for found in [
            None,
            Some(stuck("migrate-auth", reason::UNSCHEDULABLE)),
            Some(stuck("database-setup", reason::IMAGE_UNAVAILABLE)),
        ] {
            assert!(MissingImage::after(known.clone(), 1, found.as_ref()).is_none(), "{found:?}");
        }
    }
}
