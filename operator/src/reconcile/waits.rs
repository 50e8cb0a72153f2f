//! What has been waited for: why it does not come, and what is done anew.

use std::time::Duration;

use stack::{Stack, names};
use tokio::time::Instant;

use super::{Memory, Pass};
use crate::image::MissingImage;
use crate::kinds::Kind;
use crate::live::Key;
use crate::object::Object;
use crate::plan::rewrap::is_rewrap;
use crate::rollout::{Decision, Facts, Failure, Progress, Stage};
use crate::stuck::Stuck;
use crate::{Error, facts, prune, stuck};

/// While requests are answered, a pod more or less is nobody's worry for so long.
const LONG_PATIENCE: Duration = Duration::from_mins(2);
/// Pods are asked why they do not come up after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A database that could not be prepared is tried anew after so long; keys that could not be wrapped anew, too.
const SETUP_AGAIN: Duration = Duration::from_mins(10);

impl Pass<'_> {
    /// Jobs that failed, and are to be done anew, are taken away: they are made again.
    pub(super) async fn do_failed_jobs_anew(
        self,
        objects: &[Object],
        sight: &facts::Sight,
        facts: &Facts,
        decision: &Decision,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let has_failed =
            [&facts.setup, &facts.rewrap].into_iter().any(|it| matches!(it, Progress::Failed(_)));
        let has_rested = match (has_failed, memory.setup_failed_since) {
            (true, Some(since)) => since.elapsed() >= SETUP_AGAIN,
            (true, None) => {
                memory.setup_failed_since = Some(Instant::now());
                false
            }
            (false, _) => {
                memory.setup_failed_since = None;
                false
            }
        };
        let Some(job) = Kind::id("batch", "Job") else { return Ok(()) };
        for object in objects.iter().filter(|object| object.resource.kind == "Job") {
            let key: Key = (job, object.name.as_str().into());
            let failed = sight.get(&key).filter(|seen| {
                !seen.deleting && seen.workload().is_some_and(|workload| workload.failed.is_some())
            });
            let is_due = match facts::part(object) {
                // What is half restored is for a person to look at.
                part if part == names::RESTORE => false,
                // What failed while there was no database yet says nothing of the version.
                part if facts::is_migration(part) => {
                    decision.retry
                        || matches!(decision.stage, Stage::Database(_) | Stage::Setup(_))
                        // It never ran, and there is nothing to go back to: the image may yet come.
                        || (decision.stage == Stage::Failed && memory.missing_image.is_some())
                }
                _ => has_rested,
            };
            if let Some(seen) = failed.filter(|_| is_due) {
                prune::delete(self.place(), &key, seen).await?;
                memory.trail.deleted += 1;
            }
        }
        Ok(())
    }

    /// Why something that has been waited for does not come, if its pods say so.
    pub(super) async fn waits(
        self,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        decision: &Decision,
        sight: &facts::Sight,
        memory: &mut Memory,
    ) -> Option<Stuck> {
        let patience = match decision.stage {
            Stage::Healthy | Stage::WentBack | Stage::GoingBack => {
                (memory.waiting_since, memory.reasons, memory.missing_image) = (None, None, None);
                return None;
            }
            // A pod that may not even be made does not come by waiting.
            Stage::Updating(_) if !is_refused(sight) => LONG_PATIENCE,
            _ => PATIENCE,
        };
        if memory.waiting_since.get_or_insert_with(Instant::now).elapsed() < patience {
            return None;
        }
        match &memory.reasons {
            Some((asked, known)) if asked.elapsed() < PATIENCE => known.clone(),
            _ => {
                let found = self.reasons(stack, objects, facts, sight).await;
                memory.reasons = Some((Instant::now(), found.clone()));
                let known = memory.missing_image.take();
                memory.missing_image = MissingImage::after(known, self.generation(), found.as_ref());
                found
            }
        }
    }

    /// Adds to a failure what pods say. They are asked at once, since those that know go away with the version.
    pub(super) async fn explain(
        self,
        failure: &mut Failure,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        sight: &facts::Sight,
    ) {
        let said = self.reasons(stack, objects, facts, sight).await.map(|stuck| stuck.problem.message);
        if let Some(said) = said.filter(|said| !failure.why.contains(said)) {
            failure.why = format!("{}; {said}", failure.why.trim_end_matches('.'));
        }
    }

    /// How far the wrapping of keys has come; if it got no further, in the words of the pod that failed.
    pub(super) async fn rewrap_in_words(
        self,
        stack: &Stack,
        objects: &[Object],
        rewrap: Progress,
    ) -> Progress {
        let Progress::Failed(why) = rewrap else { return rewrap };
        let jobs = objects.iter().filter(|object| is_rewrap(facts::part(object)));
        let jobs: Vec<_> = jobs.map(|job| job.name.as_str()).collect();
        let said = stuck::jobs(&self.operator.client, stack, &jobs).await;
        Progress::Failed(said.map_or_else(|| why.clone(), |said| format!("{why}; {}", said.problem.message)))
    }

    async fn reasons(
        self,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        sight: &facts::Sight,
    ) -> Option<Stuck> {
        let client = &self.operator.client;
        let has_database = facts.database == Progress::Done;
        if !has_database && let Some(stuck) = stuck::pods(client, stack, [names::POSTGRES], sight).await {
            return Some(stuck);
        }
        let jobs: Vec<_> = facts::unfinished_jobs(objects, sight).collect();
        if (facts.setup != Progress::Done || facts.migrations != Progress::Done)
            && let Some(stuck) = stuck::jobs(client, stack, &jobs).await
        {
            return Some(stuck);
        }
        let parts: Vec<_> =
            stack.enabled().map(settings::ServiceName::as_str).chain([names::API_GATEWAY]).collect();
        // Without a database, services may well not come up.
        if has_database && let Some(stuck) = stuck::pods(client, stack, parts.iter().copied(), sight).await {
            return Some(stuck);
        }
        let workloads =
            [names::POSTGRES].into_iter().chain(parts).map(|part| names::object(&stack.name, part));
        let makers: Vec<_> = workloads.chain(jobs.into_iter().map(str::to_owned)).collect();
        stuck::not_made(client, stack, &makers).await
    }
}

/// Whether pods could not be made: a quota, an admission policy.
fn is_refused(sight: &facts::Sight) -> bool {
    sight.values().filter_map(|seen| seen.workload()).any(|workload| workload.refused.is_some())
}
