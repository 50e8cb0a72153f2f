//! The last backup, of `deletionPolicy: Backup`. Whoever could write is stopped first, or what is written while it is taken would be lost; the
//! database stays, and so does what the backup's pod needs.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use stack::condition::reason;
use stack::{Database, names};

use crate::facts::{Sight, workload};
use crate::kinds::Kind;
use crate::plan::{Context, backup, labels};
use crate::reconcile::{Memory, Pass};
use crate::validate::Problem;
use crate::{Error, apply, prune, stuck};

/// Takes it. Answers whether it is done, or cannot be: then there never was a database, or all of it goes with its namespace. One that fails
/// stops the deletion: data would be gone that somebody wanted kept.
pub(super) async fn take(pass: Pass<'_>, context: &Context<'_>, memory: &mut Memory) -> Result<bool, Error> {
    let sight = pass.operator.live.of_stack(pass.id);
    let was_well = pass.before(memory).last_healthy_version.is_some();
    if !has_database(context, &sight, was_well) {
        tracing::info!("there never was a database: there is nothing to back up");
        return Ok(true);
    }
    if let Some(message) = stop(pass, &sight).await? {
        pass.say_deleting(memory, Problem { reason: reason::DELETING, message }).await?;
        return Ok(false);
    }
    let objects = backup::last(context);
    let outcome = apply::apply(pass.place(), memory.applied(), &objects).await;
    if outcome.errors.iter().any(Error::is_namespace_terminating) {
        // The backup's own volume goes with the namespace: there is nothing to wait for.
        return Ok(true);
    }
    if !outcome.errors.is_empty() {
        return pass.give_up(memory, outcome.errors).await.map(|_| false);
    }
    for job in objects.iter().filter(|object| object.resource.kind == "Job") {
        if let Some(problem) = unfinished(pass, context, &job.name).await {
            pass.say_deleting(memory, problem).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there is data, or was. A database that the operator made has a volume; of another's only a stack that was well once tells. Where
/// nobody has been given a way to read it either, there was none.
fn has_database(context: &Context<'_>, sight: &Sight, was_well: bool) -> bool {
    let is_there = |group: &str, kind: &str, part: &str| {
        Kind::id(group, kind).is_some_and(|id| sight.contains_key(&(id, context.name(part).into())))
    };
    let has_data = match context.stack.database {
        Database::Managed(_) => is_there("", "PersistentVolumeClaim", names::POSTGRES),
        Database::CloudNativePg(_) => is_there("postgresql.cnpg.io", "Cluster", names::POSTGRES),
        Database::External(_) => was_well,
    };
    has_data || is_there("", "Secret", names::DATABASE_READER)
}

/// Stops services and gateway, their autoscalers first. Answers what is still waited for, in words: a Deployment is there for as long as any
/// of its pods is.
async fn stop(pass: Pass<'_>, sight: &Sight) -> Result<Option<String>, Error> {
    let own = |kind: &'static str| {
        sight.iter().filter(move |((id, _), seen)| {
            id.kind().resource.kind == kind && seen.owner.as_deref() == Some(pass.place().uid)
        })
    };
    for kind in ["HorizontalPodAutoscaler", "Deployment"] {
        for (key, seen) in own(kind).filter(|(_, seen)| !seen.deleting) {
            prune::delete_last(pass.place(), key, seen).await?;
        }
    }
    let mut left: Vec<_> = own("Deployment").map(|((_, name), _)| format!("Deployment {name}")).collect();
    if left.is_empty() {
        left = writers(pass).await?.into_iter().map(|name| format!("Pod {name}")).collect();
    }
    let left = left.join(", ");
    Ok((!left.is_empty())
        .then(|| format!("services are stopped before the last backup is taken; still there: {left}")))
}

/// Pods of services and gateway that have not ended, whoever made them: a part that was switched off just before has no Deployment.
async fn writers(pass: Pass<'_>) -> Result<Vec<String>, Error> {
    let api: Api<Pod> = Api::namespaced(pass.operator.client.clone(), &pass.id.namespace);
    let (stack, jobs, postgres) = (&pass.id.label, stuck::JOB_NAME, names::POSTGRES);
    let selector = format!("{}={stack},!{jobs},{}!={postgres}", labels::STACK, labels::NAME);
    let running =
        ListParams::default().labels(&selector).fields("status.phase!=Succeeded,status.phase!=Failed");
    let pods = api.list(&running).await.map_err(Error::api("pods of the stack"))?;
    Ok(pods.iter().map(ResourceExt::name_any).collect())
}

/// Why the Job is not done; `None` if it is.
async fn unfinished(pass: Pass<'_>, context: &Context<'_>, job: &str) -> Option<Problem> {
    let sight = pass.operator.live.of_stack(pass.id);
    let seen = workload(&sight, "batch", "Job", job);
    if seen.is_some_and(|seen| seen.complete) {
        return None;
    }
    if let Some(why) = seen.and_then(|seen| seen.failed.as_deref()) {
        let message = format!(
            "the last backup failed (Job {job}: {why}), so that nothing is deleted; services are stopped. Delete the Job to try again, or \
             set spec.deletionPolicy to Retain or Delete"
        );
        return Some(Problem { reason: reason::BACKUP_FAILED, message });
    }
    Some(match stuck::job(&pass.operator.client, context.stack, job).await {
        None => Problem {
            reason: reason::DELETING,
            message: format!("the last backup is being taken (Job {job})"),
        },
        Some(stuck) => Problem {
            reason: stuck.problem.reason,
            message: format!("the last backup is not taken yet (Job {job}): {}", stuck.problem.message),
        },
    })
}
