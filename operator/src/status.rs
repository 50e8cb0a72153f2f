//! `status`: what is said of a stack. Pure, but for [`write()`].
//!
//! A condition's time changes only with its status, and nothing is written that is not different: a stack at rest has no status writes.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use settings::{GATEWAY_PORT, ServiceName};
use stack::condition::{kind, reason};
use stack::spec::{
    Condition, ConditionStatus, FailedVersion, HealthcareStack, HealthcareStackStatus, ServiceStatus,
};
use stack::{IngressBy, Stack, names};

use crate::conflict::Contest;
use crate::facts::{Record, Sight, deployment, unfinished_restore};
use crate::rollout::{Decision, Facts, Failure, Progress, Stage};
use crate::stuck::Stuck;
use crate::validate::Problem;
use crate::way::{Reach, address, reach};
use crate::{Error, MANAGER};

/// What the schema lets a message have.
const MESSAGE_MAX: usize = 4_096;
/// What it lets the reason of a version's failure have.
const REASON_MAX: usize = 1_024;

/// A condition before its time is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    r#type: &'static str,
    holds: ConditionStatus,
    reason: &'static str,
    message: String,
}

/// What is to be said of.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was asked for.
    pub stack: &'a Stack,
    /// What the rollout went by.
    pub facts: &'a Facts,
    /// What was decided.
    pub decision: &'a Decision,
    /// What was seen after that.
    pub sight: &'a Sight,
    /// What does not come, and a person has to do something about.
    pub stuck: Option<&'a Stuck>,
    /// What somebody keeps taking back.
    pub contests: &'a [Contest],
    /// Whether a rotation waits for pods to take up another key.
    pub rotating: bool,
}

/// The status of a stack that could be planned.
pub fn status(
    report: Report<'_>,
    generation: i64,
    before: &HealthcareStackStatus,
    now: DateTime<Utc>,
) -> HealthcareStackStatus {
    let Report { stack, facts, decision, sight, .. } = report;
    let services = services(stack, sight);
    let ready =
        stack.enabled().filter(|service| services.get(service.as_str()).is_some_and(is_ready)).count();
    let mut said = vec![
        ready_condition(report),
        progressing(report),
        degraded(report),
        database_ready(report),
        of_progress(
            kind::MIGRATIONS_COMPLETE,
            &facts.migrations,
            reason::MIGRATING,
            reason::MIGRATION_FAILED,
        ),
        gateway_ready(stack, sight, &services),
    ];
    said.extend(field_conflict(report));
    HealthcareStackStatus {
        observed_generation: Some(generation),
        conditions: timed(said, generation, before, now),
        services_ready: Some(format!("{ready}/{}", stack.enabled().count())),
        version: facts.running.clone().or_else(|| before.version.clone()),
        last_healthy_version: decision.last_healthy.clone(),
        failed_version: decision.failure.as_ref().map(written),
        gateway_url: Some(gateway_url(stack, sight)),
        services,
        ..HealthcareStackStatus::default()
    }
}

/// The status of a stack of which nothing can be planned: what was said of its parts stays, and why nothing is done is said beside it.
pub fn blocked(
    problems: &[Problem],
    generation: i64,
    before: &HealthcareStackStatus,
    now: DateTime<Utc>,
) -> HealthcareStackStatus {
    let (reason, message) = told(problems);
    let mut said = vec![
        Said { r#type: kind::READY, holds: ConditionStatus::False, reason, message: message.clone() },
        Said { r#type: kind::PROGRESSING, holds: ConditionStatus::False, reason, message: message.clone() },
        Said { r#type: kind::DEGRADED, holds: ConditionStatus::True, reason, message },
    ];
    for r#type in [kind::DATABASE_READY, kind::MIGRATIONS_COMPLETE, kind::GATEWAY_READY] {
        if before.conditions.iter().all(|condition| condition.r#type != r#type) {
            let message = "nothing was made yet".to_owned();
            said.push(Said { r#type, holds: ConditionStatus::Unknown, reason: reason::WAITING, message });
        }
    }
    let kept = kept(&said, before);
    let mut conditions = timed(said, generation, before, now);
    conditions.extend(kept);
    conditions.sort_by_key(|condition| order(&condition.r#type));
    HealthcareStackStatus { observed_generation: Some(generation), conditions, ..before.clone() }
}

/// The status of a stack that is left as it is: only what runs is told.
pub fn paused(
    stack: &Stack,
    sight: &Sight,
    generation: i64,
    before: &HealthcareStackStatus,
    now: DateTime<Utc>,
) -> HealthcareStackStatus {
    let services = services(stack, sight);
    let ready =
        stack.enabled().filter(|service| services.get(service.as_str()).is_some_and(is_ready)).count();
    let gateway = gateway_ready(stack, sight, &services);
    let is_whole = ready == stack.enabled().count() && gateway.holds == ConditionStatus::True;
    let message = "spec.paused is set: the stack is left as it is, drift too".to_owned();
    let (holds, reason) = if is_whole {
        (ConditionStatus::True, reason::AS_EXPECTED)
    } else {
        (ConditionStatus::False, reason::PAUSED)
    };
    let said = vec![
        Said { r#type: kind::READY, holds, reason, message: message.clone() },
        Said { r#type: kind::PROGRESSING, holds: ConditionStatus::False, reason: reason::PAUSED, message },
        gateway,
    ];
    let kept = kept(&said, before);
    let mut conditions = timed(said, generation, before, now);
    conditions.extend(kept);
    conditions.sort_by_key(|condition| order(&condition.r#type));
    HealthcareStackStatus {
        observed_generation: Some(generation),
        conditions,
        services_ready: Some(format!("{ready}/{}", stack.enabled().count())),
        services,
        ..before.clone()
    }
}

/// What was said before of what nothing is said of now.
fn kept(said: &[Said], before: &HealthcareStackStatus) -> Vec<Condition> {
    let kept = before.conditions.iter().filter(|known| said.iter().all(|said| said.r#type != known.r#type));
    kept.cloned().collect()
}

/// What is remembered in a status.
pub fn record(status: &HealthcareStackStatus) -> Record {
    Record {
        last_healthy: status.last_healthy_version.clone(),
        failure: status.failed_version.as_ref().map(|failed| Failure {
            version: failed.version.clone(),
            generation: failed.generation,
            why: failed.reason.clone(),
        }),
    }
}

fn written(failure: &Failure) -> FailedVersion {
    FailedVersion {
        version: failure.version.clone(),
        generation: failure.generation,
        reason: cut(failure.why.clone(), REASON_MAX),
    }
}

/// What became of a version that has none to go back to.
const fn failed(facts: &Facts) -> &'static str {
    match facts.migrations {
        Progress::Failed(_) => reason::MIGRATION_FAILED,
        Progress::Done | Progress::Waiting(_) => reason::ROLLOUT_FAILED,
    }
}

fn ready_condition(report: Report<'_>) -> Said {
    let said = |holds, reason, message| Said { r#type: kind::READY, holds, reason, message };
    let answers = matches!(report.decision.stage, Stage::Updating(_));
    if let Some(Stuck { problem: Problem { reason, message }, .. }) = report.stuck {
        return said(ConditionStatus::False, reason, message.clone());
    }
    if let Some(Problem { reason, message }) = closed(report) {
        return said(ConditionStatus::False, reason, message);
    }
    match stage_words(report) {
        (reason, message) if answers => said(ConditionStatus::True, reason, message),
        (reason::AS_EXPECTED, message) => said(ConditionStatus::True, reason::AS_EXPECTED, message),
        (reason, message) => said(ConditionStatus::False, reason, message),
    }
}

fn progressing(report: Report<'_>) -> Said {
    let said = |holds, (reason, message)| Said { r#type: kind::PROGRESSING, holds, reason, message };
    let words = stage_words(report);
    if report.stack.paused {
        let message = "spec.paused is set: the stack is left as it is".to_owned();
        return said(ConditionStatus::False, (reason::PAUSED, message));
    }
    if report.rotating && matches!(report.decision.stage, Stage::Healthy | Stage::Updating(_)) {
        let message = format!("keys are being rotated: {}", words.1);
        return said(ConditionStatus::True, (reason::ROTATING, message));
    }
    if let (Stage::Healthy, Some(Problem { reason, message })) = (&report.decision.stage, closed(report)) {
        // What is not given yet may come; what was refused does not by itself.
        let may_come = reason == reason::ADDRESS_PENDING;
        let holds = if may_come { ConditionStatus::True } else { ConditionStatus::False };
        return said(holds, (reason, message));
    }
    match report.decision.stage {
        Stage::Healthy | Stage::Unwell(_) | Stage::WentBack | Stage::Failed => {
            said(ConditionStatus::False, words)
        }
        Stage::Database(_)
        | Stage::Setup(_)
        | Stage::Migrations(_)
        | Stage::Services(_)
        | Stage::Gateway(_)
        | Stage::Updating(_)
        | Stage::GoingBack => said(ConditionStatus::True, words),
    }
}

fn degraded(report: Report<'_>) -> Said {
    let said = |holds, reason, message| Said { r#type: kind::DEGRADED, holds, reason, message };
    if let Some(Stuck { problem: Problem { reason, message }, .. }) = report.stuck {
        return said(ConditionStatus::True, reason, message.clone());
    }
    if let Some(Said { reason, message, .. }) = field_conflict(report) {
        return said(ConditionStatus::True, reason, message);
    }
    if let Some(Problem { reason: reason @ reason::ROUTE_NOT_ACCEPTED, message }) = closed(report) {
        return said(ConditionStatus::True, reason, message);
    }
    match &report.decision.stage {
        Stage::Unwell(_) | Stage::Failed | Stage::GoingBack | Stage::WentBack => {
            let (reason, message) = stage_words(report);
            said(ConditionStatus::True, reason, message)
        }
        Stage::Setup(_) if matches!(report.facts.setup, Progress::Failed(_)) => {
            let (reason, message) = stage_words(report);
            said(ConditionStatus::True, reason, message)
        }
        _ => said(ConditionStatus::False, reason::AS_EXPECTED, String::new()),
    }
}

/// Why a stack that is well otherwise is not reached from outside.
fn closed(report: Report<'_>) -> Option<Problem> {
    let is_well = matches!(report.decision.stage, Stage::Healthy | Stage::Updating(_));
    match reach(report.stack, report.sight) {
        Reach::Closed(problem) if is_well => Some(problem),
        Reach::Open | Reach::Untold(_) | Reach::Closed(_) => None,
    }
}

/// Only while it is so.
fn field_conflict(report: Report<'_>) -> Option<Said> {
    let Contest { object, manager, field } = report.contests.first()?;
    let message = format!(
        "{manager} keeps taking {field} of {object} back, so that it is left as it is for some minutes; \
         let {manager} leave that field alone, or say in the spec what it should be"
    );
    Some(Said {
        r#type: kind::FIELD_CONFLICT,
        holds: ConditionStatus::True,
        reason: reason::FOUGHT_OVER,
        message,
    })
}

/// Where the rollout stands, in a word and in words.
fn stage_words(report: Report<'_>) -> (&'static str, String) {
    let Report { facts, decision, .. } = report;
    let wanted = &facts.wanted;
    match (&decision.stage, &decision.failure) {
        (Stage::Healthy, _) => (reason::AS_EXPECTED, format!("every part runs at {wanted} and is available")),
        (Stage::Database(why), _) => (reason::DATABASE_UNREACHABLE, why.clone()),
        (Stage::Setup(why), _) => setup_words(report, why),
        (Stage::Migrations(why), _) => (reason::MIGRATING, why.clone()),
        (Stage::Services(why) | Stage::Gateway(why) | Stage::Updating(why), _) => {
            (if facts.last_healthy.is_some() { reason::ROLLING_OUT } else { reason::STARTING }, why.clone())
        }
        (Stage::Unwell(why), _) => (reason::PODS_UNAVAILABLE, why.clone()),
        (Stage::Failed, Some(failure)) => (
            failed(facts),
            format!(
                "{} failed and there is no earlier version to go back to: {}",
                failure.version, failure.why
            ),
        ),
        (Stage::GoingBack, Some(failure)) => (
            reason::ROLLED_BACK,
            format!("{} failed ({}); going back to {}", failure.version, failure.why, last(decision)),
        ),
        (Stage::WentBack, Some(failure)) => (
            reason::ROLLED_BACK,
            format!(
                "{} failed ({}); {} runs again. It is tried once more when the spec changes",
                failure.version,
                failure.why,
                last(decision)
            ),
        ),
        (Stage::Failed | Stage::GoingBack | Stage::WentBack, None) => {
            (reason::PODS_UNAVAILABLE, format!("{wanted} failed"))
        }
    }
}

/// Where the database's preparation stands.
fn setup_words(report: Report<'_>, why: &str) -> (&'static str, String) {
    let restore = unfinished_restore(report.stack, report.sight);
    match (&report.facts.setup, restore) {
        (Progress::Failed(_), Some(job)) if why.contains(job) => (
            reason::RESTORE_FAILED,
            format!("the backup could not be restored: {why}; the Job's log says more"),
        ),
        (Progress::Failed(_), _) => (
            reason::DATABASE_REFUSES,
            format!("the database could not be prepared: {why}; the Job's log says more"),
        ),
        (Progress::Done | Progress::Waiting(_), Some(job)) if why.contains(job) => {
            (reason::RESTORING, format!("the database is being filled from a backup: {why}"))
        }
        (Progress::Done | Progress::Waiting(_), _) => (reason::STARTING, why.to_owned()),
    }
}

fn last(decision: &Decision) -> &str {
    decision.last_healthy.as_deref().unwrap_or("the version before")
}

fn database_ready(report: Report<'_>) -> Said {
    let facts = report.facts;
    let of_database = report.stuck.filter(|stuck| stuck.part == names::POSTGRES);
    if let (Progress::Waiting(_) | Progress::Failed(_), Some(Stuck { problem, .. })) =
        (&facts.database, of_database)
    {
        let Problem { reason, message } = problem.clone();
        return Said { r#type: kind::DATABASE_READY, holds: ConditionStatus::False, reason, message };
    }
    match (&facts.database, &facts.setup) {
        (Progress::Done, Progress::Waiting(why) | Progress::Failed(why)) => {
            let (reason, message) = setup_words(report, why);
            Said { r#type: kind::DATABASE_READY, holds: ConditionStatus::False, reason, message }
        }
        (Progress::Done, Progress::Done) => {
            of_progress(kind::DATABASE_READY, &facts.setup, reason::STARTING, reason::DATABASE_REFUSES)
        }
        (other, _) => of_progress(
            kind::DATABASE_READY,
            other,
            reason::DATABASE_UNREACHABLE,
            reason::DATABASE_UNREACHABLE,
        ),
    }
}

fn gateway_ready(stack: &Stack, sight: &Sight, services: &BTreeMap<String, ServiceStatus>) -> Said {
    let r#type = kind::GATEWAY_READY;
    let gateway = services.get(names::API_GATEWAY);
    match gateway {
        Some(gateway) if is_ready(gateway) => {
            let (holds, reason, message) = match reach(stack, sight) {
                Reach::Open => (ConditionStatus::True, reason::AS_EXPECTED, String::new()),
                // It may well be reached: there is nothing to call it unready by.
                Reach::Untold(note) => (ConditionStatus::True, reason::AS_EXPECTED, note),
                Reach::Closed(problem) => (ConditionStatus::False, problem.reason, problem.message),
            };
            Said { r#type, holds, reason, message }
        }
        other => {
            let message = other.map_or_else(
                || "its turn has not come yet".to_owned(),
                |gateway| format!("{} of {} pods ready", gateway.ready, gateway.desired),
            );
            Said { r#type, holds: ConditionStatus::False, reason: reason::ROLLING_OUT, message }
        }
    }
}

fn of_progress(r#type: &'static str, progress: &Progress, waits: &'static str, fails: &'static str) -> Said {
    let (holds, reason, message) = match progress {
        Progress::Done => (ConditionStatus::True, reason::AS_EXPECTED, String::new()),
        Progress::Waiting(why) => (ConditionStatus::False, waits, why.clone()),
        Progress::Failed(why) => (ConditionStatus::False, fails, why.clone()),
    };
    Said { r#type, holds, reason, message }
}

/// The first problem's reason, and all of them in words.
fn told(problems: &[Problem]) -> (&'static str, String) {
    let reason = problems.first().map_or(reason::WAITING, |problem| problem.reason);
    let words: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    (reason, words.join("\n"))
}

fn services(stack: &Stack, sight: &Sight) -> BTreeMap<String, ServiceStatus> {
    let parts = stack.enabled().map(ServiceName::as_str).chain([names::API_GATEWAY]);
    parts
        .filter_map(|part| {
            let seen = deployment(stack, part, sight)?;
            let version = seen.tag.clone();
            Some((part.to_owned(), ServiceStatus { ready: seen.ready, desired: seen.desired, version }))
        })
        .collect()
}

const fn is_ready(service: &ServiceStatus) -> bool {
    service.desired > 0 && service.ready >= service.desired
}

/// Where the API answers: at the Ingress, at the load balancer, or inside of the cluster.
fn gateway_url(stack: &Stack, sight: &Sight) -> String {
    let scheme = |has_tls: bool| if has_tls { "https" } else { "http" };
    let Some(ingress) = &stack.gateway.ingress else {
        let inside = || format!("{}.{}", names::object(&stack.name, names::API_GATEWAY), stack.namespace);
        let host = address(stack, sight).map_or_else(inside, in_url);
        return format!("{}://{host}:{GATEWAY_PORT}", scheme(stack.gateway.tls.is_some()));
    };
    let has_tls = match &ingress.by {
        IngressBy::Ingress { tls_secret, .. } => tls_secret.is_some(),
        // What ends TLS is the Gateway, which is somebody else's; a public host has it, nearly always.
        IngressBy::HttpRoute { .. } => true,
    };
    format!("{}://{}", scheme(has_tls), ingress.host)
}

/// An address as a URL has it (RFC 3986, §3.2.2).
fn in_url(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn timed(
    said: Vec<Said>,
    generation: i64,
    before: &HealthcareStackStatus,
    now: DateTime<Utc>,
) -> Vec<Condition> {
    said.into_iter()
        .map(|said| {
            let known =
                before.conditions.iter().find(|it| it.r#type == said.r#type && it.status == said.holds);
            Condition {
                r#type: said.r#type.to_owned(),
                status: said.holds,
                reason: said.reason.to_owned(),
                message: cut(said.message, MESSAGE_MAX),
                last_transition_time: known.map_or_else(
                    || now.to_rfc3339_opts(SecondsFormat::Secs, true),
                    |known| known.last_transition_time.clone(),
                ),
                observed_generation: Some(generation),
            }
        })
        .collect()
}

fn order(r#type: &str) -> usize {
    kind::ALWAYS.iter().position(|known| *known == r#type).unwrap_or(kind::ALWAYS.len())
}

fn cut(mut message: String, len_max: usize) -> String {
    if message.len() > len_max {
        message.truncate(message.floor_char_boundary(len_max - 3));
        message.push_str("...");
    }
    message
}

/// Writes a status.
pub async fn write(
    api: &Api<HealthcareStack>,
    name: &str,
    status: &HealthcareStackStatus,
) -> Result<(), Error> {
    let patch = json!({ "apiVersion": stack::API_VERSION, "kind": stack::KIND, "status": status });
    let params = PatchParams::apply(MANAGER).force();
    match api.patch_status(name, &params, &Patch::Apply(patch)).await {
        Ok(_) => Ok(()),
        // It went meanwhile.
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("the status of {name}"))(error)),
    }
}

#[cfg(test)]
mod tests;
