//! What came of it goes to the status, and to Events.

use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use stack::condition::{kind, reason};
use stack::spec::{HealthcareStack, HealthcareStackStatus};
use traces::step;

use super::{Memory, Pass, WAITING};
use crate::rollout::Decision;
use crate::secrets::Refusal;
use crate::validate::Problem;
use crate::{Error, status};

impl Pass<'_> {
    /// What the API server refused goes to the status if a person can do something about it; it is tried again in any case.
    pub(crate) async fn give_up(self, memory: &mut Memory, errors: Vec<Error>) -> Result<Action, Error> {
        memory.settled = false;
        let problems: Vec<_> = errors.iter().filter_map(refusal).collect();
        if !problems.is_empty() {
            self.block(memory, &problems).await?;
        }
        let first = errors.iter().position(Error::is_namespace_terminating).unwrap_or(0);
        errors.into_iter().nth(first).map_or_else(|| Ok(Action::requeue(WAITING)), Err)
    }

    /// Writes down which version was healthy and which one failed, if that is new, and leaves the rest of the status as it is.
    pub(super) async fn remember(self, decision: &Decision, memory: &mut Memory) -> Result<(), Error> {
        let status = status::remembering(decision, &self.before(memory));
        self.write(memory, status).await
    }

    pub(super) async fn block(self, memory: &mut Memory, problems: &[Problem]) -> Result<(), Error> {
        memory.settled = false;
        let before = self.before(memory);
        let status = status::blocked(problems, self.generation(), &before, self.operator.clock.now());
        self.write(memory, status).await
    }

    /// Writes a status that is different, and tells of it.
    pub(super) async fn write(self, memory: &mut Memory, status: HealthcareStackStatus) -> Result<(), Error> {
        let ready = status.conditions.iter().find(|condition| condition.r#type == kind::READY);
        memory.trail.outcome = ready.map(|ready| ready.reason.clone());
        let before = self.before(memory);
        if before == status {
            return Ok(());
        }
        let api: Api<HealthcareStack> = Api::namespaced(self.operator.client.clone(), &self.id.namespace);
        step("status", status::write(&api, &self.resource.name_any(), &status)).await?;
        self.operator.metrics.status_written();
        memory.trail.status = true;
        self.teller().conditions(&before, &status).await;
        memory.status = Some(status);
        Ok(())
    }

    /// The status as it was written last.
    pub(crate) fn before(self, memory: &Memory) -> HealthcareStackStatus {
        memory.status.clone().or_else(|| self.resource.status.clone()).unwrap_or_default()
    }

    /// Says that the stack is going, and how far that is.
    pub(crate) async fn say_deleting(self, memory: &mut Memory, problem: Problem) -> Result<(), Error> {
        self.block(memory, &[problem]).await
    }
}

/// What a person can do something about.
fn refusal(error: &Error) -> Option<Problem> {
    let reason = match error {
        _ if error.is_namespace_terminating() => return None,
        _ if error.is_quota_exceeded() => reason::QUOTA_EXCEEDED,
        Error::NameTaken(_) => reason::APPLY_REFUSED,
        _ if error.is_refusal() => reason::APPLY_REFUSED,
        _ => return None,
    };
    Some(Problem { reason, message: error.to_string() })
}

pub(super) fn refused(refusal: &Refusal) -> Problem {
    let reason = match refusal {
        Refusal::KekLost { .. } => reason::KEK_MISSING,
        Refusal::Missing { .. } => reason::SECRET_MISSING,
        Refusal::ExternalUrl(_) => reason::DATABASE_REFUSES,
        Refusal::Taken { .. } => reason::APPLY_REFUSED,
        Refusal::Damaged { .. }
        | Refusal::EscrowedKey
        | Refusal::ExternalCa { .. }
        | Refusal::Unknown { .. } => reason::SECRET_KEY_MISSING,
    };
    Problem { reason, message: refusal.to_string() }
}
