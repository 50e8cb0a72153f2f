//! What each condition says, and why.

use std::collections::BTreeMap;

use stack::condition::{kind, reason};
use stack::spec::{ConditionStatus, ServiceStatus};
use stack::{Stack, names};

use super::{Report, Said, is_ready};
use crate::conflict::Contest;
use crate::facts::{Sight, failed_backup, unfinished_restore};
use crate::rollout::{Decision, Facts, Progress, Stage};
use crate::stuck::Stuck;
use crate::validate::Problem;
use crate::way::{Reach, reach};

/// What became of a version that has none to go back to.
const fn failed(facts: &Facts) -> &'static str {
    match facts.migrations {
        Progress::Failed(_) => reason::MIGRATION_FAILED,
        Progress::Done | Progress::Waiting(_) => reason::ROLLOUT_FAILED,
    }
}

pub(super) fn ready_condition(report: Report<'_>) -> Said {
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

pub(super) fn progressing(report: Report<'_>) -> Said {
    let said = |holds, (reason, message)| Said { r#type: kind::PROGRESSING, holds, reason, message };
    let words = stage_words(report);
    if report.stack.paused {
        let message = "spec.paused is set: the stack is left as it is".to_owned();
        return said(ConditionStatus::False, (reason::PAUSED, message));
    }
    let moves = report.rotating && !matches!(report.facts.rewrap, Progress::Failed(_));
    if moves && matches!(report.decision.stage, Stage::Healthy | Stage::Updating(_)) {
        let on = match &report.facts.rewrap {
            Progress::Waiting(on) => on,
            Progress::Done | Progress::Failed(_) => &words.1,
        };
        let message = format!("keys are being rotated: {on}");
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

pub(super) fn degraded(report: Report<'_>) -> Said {
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
        _ => match &report.facts.rewrap {
            Progress::Failed(why) => {
                let message = format!(
                    "keys cannot be wrapped under another key-encryption key, so that the previous one stays: {why}"
                );
                said(ConditionStatus::True, reason::ROTATION_FAILED, message)
            }
            Progress::Done | Progress::Waiting(_) => match failed_backup(report.stack, report.sight) {
                Some((job, why)) => {
                    said(ConditionStatus::True, reason::BACKUP_FAILED, backup_words(job, why))
                }
                None => said(ConditionStatus::False, reason::AS_EXPECTED, String::new()),
            },
        },
    }
}

fn backup_words(job: &str, why: &str) -> String {
    format!(
        "the last backup failed (Job {job}: {why}); `kubectl logs job/{job}` tells more. The next one is taken by \
         spec.database.backup.schedule, or by `kubectl healthcare backup`"
    )
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
pub(super) fn field_conflict(report: Report<'_>) -> Option<Said> {
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

pub(super) fn database_ready(report: Report<'_>) -> Said {
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

pub(super) fn gateway_ready(
    stack: &Stack,
    sight: &Sight,
    services: &BTreeMap<String, ServiceStatus>,
) -> Said {
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

pub(super) fn of_progress(
    r#type: &'static str,
    progress: &Progress,
    waits: &'static str,
    fails: &'static str,
) -> Said {
    let (holds, reason, message) = match progress {
        Progress::Done => (ConditionStatus::True, reason::AS_EXPECTED, String::new()),
        Progress::Waiting(why) => (ConditionStatus::False, waits, why.clone()),
        Progress::Failed(why) => (ConditionStatus::False, fails, why.clone()),
    };
    Said { r#type, holds, reason, message }
}
