//! `status`: what is said of a stack. Pure, but for [`write()`].
//!
//! A condition's time changes only with its status, and nothing is written that is not different: a stack at rest has no status writes.

mod conditions;
#[cfg(test)]
mod tests;
mod url;
mod write;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use settings::ServiceName;
use stack::condition::{kind, reason};
use stack::spec::{Condition, ConditionStatus, FailedVersion, HealthcareStackStatus, ServiceStatus};
use stack::{Stack, names};

use conditions::{
    database_ready, degraded, field_conflict, gateway_ready, of_progress, progressing, ready_condition,
};
use url::gateway_url;
pub use write::write;

use crate::conflict::Contest;
use crate::facts::{Record, Sight, deployment};
use crate::rollout::{Decision, Facts, Failure};
use crate::stuck::Stuck;
use crate::validate::Problem;

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

/// The status as it is, but for what the next decision stands on.
pub fn remembering(decision: &Decision, before: &HealthcareStackStatus) -> HealthcareStackStatus {
    HealthcareStackStatus {
        last_healthy_version: decision.last_healthy.clone(),
        failed_version: decision.failure.as_ref().map(written),
        ..before.clone()
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
