//! Whether a service's audit is as it was written: for whoever asks at the command line, and for `GET /internal/audit/verification`.

use std::fmt::Write as _;

use contracts::audit_verification::{
    AuditFault, AuditFlaw, AuditVerdict, ServiceVerification, VerificationQuery,
};
use contracts::endpoint::Endpoint;
use contracts::problem::{Problem, ProblemCode};
use db::{AuditReach, AuditVerified, Db, Secrets};
use settings::ServiceName;

use crate::answer::Answer;
use crate::audit::signers;
use crate::call::Call;
use crate::kit::WorldError;
use crate::problem;
use crate::routes::Failure;

/// So many chains' faults are told.
const FAULTS_MAX: usize = 100;

/// Why an audit is not found to be sound.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It is not as it was written.
    #[error("the audit of {service} is not as it was written:{}", listed(.faults))]
    Faults {
        /// Whose.
        service: ServiceName,
        /// The first fault of each chain that has one.
        faults: Vec<db::AuditFault>,
    },
    /// All of it is gone.
    #[error(
        "the audit of {service} is gone: there are keys that entries were sealed under, and no entry, nor anything signed"
    )]
    Lost {
        /// Whose.
        service: ServiceName,
    },
    /// The keys that checkpoints are signed with cannot be read.
    #[error("the audit of {service} cannot be verified: {source}")]
    World {
        /// Whose.
        service: ServiceName,
        /// Why.
        source: Box<WorldError>,
    },
    /// The database did not answer as it should.
    #[error("the audit of {service} cannot be looked after: {source}")]
    Db {
        /// Whose.
        service: ServiceName,
        /// Why.
        source: db::Error,
    },
}

fn listed(faults: &[db::AuditFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let _ = write!(text, "\n  {fault}");
    }
    text
}

impl Failure for Unsound {
    fn problem(&self) -> Problem {
        match self {
            Self::Db { source, .. } => problem::of_db(source),
            Self::Faults { .. } | Self::Lost { .. } | Self::World { .. } => {
                Problem::new(ProblemCode::Internal)
            }
        }
    }
}

async fn look(db: &Db, secrets: &Secrets, reach: AuditReach) -> Result<AuditVerified, Unsound> {
    let service = db.service();
    let signers =
        signers(service, secrets).map_err(|source| Unsound::World { service, source: Box::new(source) })?;
    let found = db::audit_verify_within(db, &signers, reach).await;
    found.map_err(|source| Unsound::Db { service, source })
}

/// Verifies a service's whole audit; what was found, in a line.
pub async fn verify(db: &Db, secrets: &Secrets) -> Result<String, Unsound> {
    let service = db.service();
    let AuditVerified { entries, chains, signed, faults, lost } =
        look(db, secrets, AuditReach::Whole).await?;
    if lost {
        return Err(Unsound::Lost { service });
    }
    if !faults.is_empty() {
        return Err(Unsound::Faults { service, faults });
    }
    if chains == 0 {
        // Nothing here can tell the one from the other.
        return Ok(format!(
            "{service}: no entry was ever written, or all of them are gone with the keys store; only the log would say so"
        ));
    }
    Ok(format!(
        "{service}: {entries} entries in {chains} chains are as they were written; {signed} are signed for"
    ))
}

/// Has the audit written under another key from now on, while everything runs; what was done, in a line.
pub async fn rotate_key(db: &Db) -> Result<String, Unsound> {
    let service = db.service();
    let generation = db::audit_rotate_key(db).await.map_err(|source| Unsound::Db { service, source })?;
    Ok(format!(
        "{service}: from within a minute the audit is written under generation {generation} of its key"
    ))
}

/// Verifies as much of a service's audit as is asked for.
pub async fn found(
    db: &Db,
    secrets: &Secrets,
    query: &VerificationQuery,
) -> Result<ServiceVerification, Unsound> {
    let reach = query.from.map_or(AuditReach::Recent, AuditReach::Since);
    let found = look(db, secrets, reach).await?;
    let verdict = if found.lost {
        AuditVerdict::Lost
    } else if !found.faults.is_empty() {
        AuditVerdict::Flawed
    } else if found.chains == 0 && query.from.is_none() {
        AuditVerdict::Empty
    } else {
        AuditVerdict::Sound
    };
    Ok(ServiceVerification {
        service: db.service().to_string(),
        verdict,
        entries: found.entries,
        chains: found.chains,
        signed: found.signed,
        faulty_chains: found.faults.len() as u64,
        faults: found.faults.into_iter().take(FAULTS_MAX).map(view).collect(),
    })
}

fn view(fault: db::AuditFault) -> AuditFault {
    use db::AuditFlaw as Flaw;
    let flaw = match fault.flaw {
        Flaw::Altered => AuditFlaw::Altered,
        Flaw::Rewritten => AuditFlaw::Rewritten,
        Flaw::Missing => AuditFlaw::Missing,
        Flaw::Unfindable => AuditFlaw::Unfindable,
        Flaw::Misleading => AuditFlaw::Misleading,
        Flaw::Foreign => AuditFlaw::Foreign,
        Flaw::Unlisted => AuditFlaw::Unlisted,
        Flaw::Unsigned => AuditFlaw::Unsigned,
        Flaw::Checkpoint => AuditFlaw::Checkpoint,
    };
    AuditFault { chain: fault.chain, seq: fault.seq, flaw }
}

/// `GET /internal/audit/verification`
pub(crate) async fn collect<E>(db: Db, secrets: Secrets, call: Call<E>) -> Result<Answer<E>, Unsound>
where
    E: Endpoint<Query = VerificationQuery, Reply = ServiceVerification>,
{
    Ok(Answer::new(found(&db, &secrets, &call.query).await?))
}
