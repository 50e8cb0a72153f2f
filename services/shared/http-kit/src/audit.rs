//! An entry in the audit for every call, before its answer leaves; and the job that signs what was written.
//!
//! A change writes its entry itself, in its own transaction ([`db::Tx::commit`]). What is left is done here, for all operations alike:
//! what was read, refused, repeated or went wrong is written down when the handler is through. If that is not possible, nobody gets the
//! answer.

use std::sync::Arc;
use std::time::Duration;

use contracts::audit::{AuditDamage as Damage, AuditEvent, AuditEvents, AuditOutcome as Shown, AuditSearch};
use contracts::endpoint::{Endpoint, Operation};
use contracts::page::LIMIT_MAX;
use contracts::problem::{Problem, ProblemCode};
use contracts::target::BadTarget;
use contracts::trail::{self, Trail};
use db::{
    AuditDamage, AuditFilter, AuditOutcome, AuditPlace, AuditSigner, AuditSigners, Db, FoundEntry,
    KeptAnswer, Secrets,
};
use http::request::Parts;
use settings::{SecretRef, ServiceName};
use traces::TraceContext;

use crate::answer::Answer;
use crate::call::{Call, header};
use crate::concerned;
use crate::identity::BadKey;
use crate::kit::{WorldError, service_identities};
use crate::problem;
use crate::routes::Failure;

const EVERY: Duration = Duration::from_mins(1);

/// The trail of a request: who calls is told when that is known.
pub(crate) fn trail(operation: &Operation, parts: &Parts, trace: Option<&TraceContext>) -> Trail {
    let trail = Trail::of(operation.id);
    trail.tell(|told| {
        told.from = header(parts, "x-forwarded-for").map(|address| address.chars().take(64).collect());
        told.trace_id = trace.map(TraceContext::trace_id);
    });
    trail
}

/// Writes down what came of a request, if no transaction of it did; gives back what may leave.
pub(crate) async fn write_down(
    db: &Db,
    operation: &Operation,
    result: Result<KeptAnswer, Problem>,
) -> Result<KeptAnswer, Problem> {
    let Some(trail) = trail::current() else { return result };
    let (outcome, code) = match &result {
        Ok(kept) => {
            concerned::in_json(&kept.body);
            if trail.is_written() {
                return result;
            }
            (AuditOutcome::Done, None)
        }
        Err(problem) if problem.status >= 500 => (AuditOutcome::Failed, Some(problem.code.as_str())),
        Err(problem) => (AuditOutcome::Refused, Some(problem.code.as_str())),
    };
    match db::audit_write(db, &trail, outcome, code).await {
        Ok(()) => result,
        Err(error) => {
            let (operation, trace_id) = (operation.id, trail.told().trace_id);
            tracing::error!(operation, trace_id, %error, "an answer is held back, since the audit cannot be written");
            Err(Problem::new(ProblemCode::AuditUnavailable))
        }
    }
}

/// Signs for what a service writes, and says whose signatures of its own are believed.
pub struct Signer {
    signer: AuditSigner,
    signers: AuditSigners,
}

/// The service's own.
pub(crate) fn signer(service: ServiceName, secrets: &Secrets) -> Result<Arc<Signer>, WorldError> {
    let key = SecretRef { secret: format!("{service}-identity"), key: "key.p8".to_owned() };
    let (signer, signers) = (AuditSigner::from_pkcs8(&secrets.read(&key)?), signers(service, secrets)?);
    Ok(Arc::new(Signer { signer: signer.ok_or(BadKey)?.beside(&signers), signers }))
}

/// The public keys by which a service's checkpoints are believed.
pub fn signers(service: ServiceName, secrets: &Secrets) -> Result<AuditSigners, WorldError> {
    Ok(AuditSigners::of(service.as_str(), &service_identities(secrets)?))
}

/// Signs what was written, again and again; and looks for a newer audit key.
pub(crate) async fn run(db: Db, signer: Arc<Signer>) {
    if let Err(error) = db::audit_sign_anew(&db, &signer.signer, &signer.signers).await {
        tracing::warn!(%error, "what was signed with a key before this one is not signed anew");
    }
    loop {
        checkpoint(&db, &signer).await;
        if let Err(error) = db::audit_refresh_key(&db).await {
            tracing::warn!(%error, "the audit's key cannot be looked at");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Signs what was written since it was last done. What is not as it was written is told in the log, entry by entry.
pub(crate) async fn checkpoint(db: &Db, signer: &Signer) {
    if let Err(error) = db::audit_checkpoint(db, &signer.signer).await {
        tracing::warn!(%error, "what was written in the audit is not signed yet");
    }
}

/// A service's audit cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// What is looked for is nothing that there could be.
    #[error("what is looked for is no user, role or session")]
    Target,
    /// The database did not answer as it should.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl Failure for Unreadable {
    fn problem(&self) -> Problem {
        match self {
            Self::Target => Problem::new(ProblemCode::InvalidQuery).fault("target", BadTarget.to_string()),
            Self::Db(error) => problem::of_db(error),
        }
    }
}

/// `GET /internal/audit`
pub(crate) async fn collect<E>(db: Db, call: Call<E>) -> Result<Answer<E>, Unreadable>
where
    E: Endpoint<Query = AuditSearch, Reply = AuditEvents>,
{
    Ok(Answer::new(AuditEvents { items: find(&db, call.query).await? }))
}

/// What a service wrote in the audit, the newest first.
pub async fn find(db: &Db, search: AuditSearch) -> Result<Vec<AuditEvent>, Unreadable> {
    let before = search.before_at.map(|at| AuditPlace {
        at,
        chain: search.before_chain.filter(|chain| contracts::id::check(chain).is_ok()).unwrap_or_default(),
        seq: search.before_seq.unwrap_or_default(),
    });
    let filter = AuditFilter {
        patient: search.subject,
        target: search.target.as_deref().map(str::parse).transpose().map_err(|_| Unreadable::Target)?,
        who: search.user_id,
        operation: search.operation,
        outcome: search.outcome.map(|outcome| match outcome {
            Shown::Done => AuditOutcome::Done,
            Shown::Refused => AuditOutcome::Refused,
            Shown::Failed => AuditOutcome::Failed,
        }),
        from: search.from,
        until: search.until,
        before,
        limit: search.limit.min(LIMIT_MAX + 1),
    };
    let service = db.service().as_str();
    Ok(db::audit_find(db, &filter).await?.into_iter().map(|found| view(service, found)).collect())
}

fn view(service: &str, found: FoundEntry) -> AuditEvent {
    let FoundEntry { place, entry, damage } = found;
    AuditEvent {
        at: place.at,
        service: service.to_owned(),
        chain: place.chain,
        seq: place.seq,
        operation: entry.operation,
        outcome: match entry.outcome {
            AuditOutcome::Done => Shown::Done,
            AuditOutcome::Refused => Shown::Refused,
            AuditOutcome::Failed => Shown::Failed,
        },
        code: entry.code,
        user_id: entry.who,
        username: entry.name,
        roles: entry.roles,
        session: entry.session,
        on_behalf_of: entry.on_behalf_of,
        subjects: entry.patients,
        asked_for: entry.asked,
        targets: entry.targets,
        targets_left_out: (entry.targets_left_out > 0).then_some(entry.targets_left_out),
        reason: entry.reason,
        address: entry.from,
        trace_id: entry.trace_id,
        damage: damage.map(|damage| match damage {
            AuditDamage::Altered => Damage::Altered,
            AuditDamage::Unreadable => Damage::Unreadable,
        }),
    }
}
