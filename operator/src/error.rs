//! [`Error`]: why a reconcile did not come to its end.

use crate::object::ObjectRef;

/// Why a reconcile did not come to its end. It is tried again, later each time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server refused, or could not be asked.
    #[error("{what}: {}", shown(source))]
    Api {
        /// What was asked of it.
        what: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
    /// An object of that name is there, and is not the stack's.
    #[error("{0} is there already and belongs to somebody else; rename it or the stack")]
    NameTaken(ObjectRef),
    /// The reconcile took too long; something does not answer.
    #[error("did not end within {0} s")]
    TimedOut(u64),
    /// The process's own surroundings: a file, a socket, a setting.
    #[error("{what}: {source}")]
    Surroundings {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A backup did not get to its object store, or back.
    #[error(transparent)]
    Backup(Box<backup_store::Error>),
    /// Stacks keep the finalizer, or it is not known whether there are any that have it.
    #[error("not all stacks are released: {}", all(.0))]
    Unreleased(Vec<Error>),
    /// This replica leads no longer.
    #[error("the lease {0} is lost")]
    LeaseLost(String),
    /// The watches show nothing any more, or the queue stands still.
    #[error("stands still: {0}")]
    Stuck(String),
}

fn all(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The API server's own words, without the whole of its answer.
fn shown(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

impl From<backup_store::Error> for Error {
    fn from(error: backup_store::Error) -> Self {
        Self::Backup(Box::new(error))
    }
}

impl traces::current::Failed for Error {
    fn kind(&self) -> &'static str {
        self.reason()
    }
}

impl Error {
    /// Says what was asked when the API server refused.
    pub fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        |source| Self::Api { what: what.into(), source: Box::new(source) }
    }

    /// Says what was tried when the process's surroundings refused.
    pub fn surroundings(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        |source| Self::Surroundings { what: what.into(), source }
    }

    /// The API server's own words, if it answered.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }

    /// The namespace is going away: nothing more can be made in it, and nothing needs to be.
    pub fn is_namespace_terminating(&self) -> bool {
        self.status().is_some_and(|status| {
            status.code == 403
                && status.details.as_ref().is_some_and(|details| {
                    details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
                })
        })
    }

    /// A quota of the namespace is used up.
    pub fn is_quota_exceeded(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403 && status.message.contains("exceeded quota"))
    }

    /// The API server looked at the object and said no: trying again changes nothing until somebody does.
    pub fn is_refusal(&self) -> bool {
        self.status().is_some_and(|status| matches!(status.code, 400 | 403 | 422))
    }

    /// For the metric of errors by reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "name_taken",
            Self::TimedOut(_) => "timed_out",
            Self::Surroundings { .. } => "surroundings",
            Self::Backup(_) => "backup",
            Self::Unreleased(_) => "unreleased",
            Self::LeaseLost(_) => "lease_lost",
            Self::Stuck(_) => "stuck",
            Self::Api { .. } => match self.status().map(|status| status.code) {
                Some(_) if self.is_quota_exceeded() => "quota_exceeded",
                Some(_) if self.is_namespace_terminating() => "namespace_terminating",
                Some(403) => "forbidden",
                Some(404) => "not_found",
                Some(409) => "conflict",
                Some(400 | 422) => "invalid",
                Some(429) => "throttled",
                Some(_) => "api",
                None => "unreachable",
            },
        }
    }
}
