//! [`Error`]: why a backup did not get there, or back. Its words end up in a condition of the stack, for people; no secret is among them.

use std::fmt;
use std::path::Path;

/// Why a backup did not get there, or back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file here.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// Why it cannot be read or written.
        source: std::io::Error,
    },
    /// What was told makes no sense.
    #[error("{0}")]
    Setting(String),
    /// No answer, however often it was tried.
    #[error("{what}: the object store does not answer: {why}")]
    Unreachable {
        /// What was asked of it.
        what: String,
        /// The last attempt's end.
        why: String,
    },
    /// An answer, and it is no.
    #[error("{what}: {refusal}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its words.
        refusal: Refusal,
    },
    /// What lies there, or here, is not what it should be.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, source }
    }

    /// The store's answer, if it is one.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// A store's answer that is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// S3's word for it, such as `NoSuchBucket`; empty where there is none.
    pub code: String,
    /// The store's own sentence.
    pub message: String,
}

impl Refusal {
    /// Those that are gone by themselves after a while.
    pub(crate) fn passes(&self) -> bool {
        let codes = ["RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted"];
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504) || codes.contains(&self.code.as_str())
    }

    pub(crate) fn is_not_found(&self) -> bool {
        // The answer to HEAD has no words.
        self.status == 404 && ["", "NoSuchKey", "NoSuchUpload", "NotFound"].contains(&self.code.as_str())
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        self.status == 403
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object store refuses: {}", self.status)?;
        for word in [&self.code, &self.message] {
            if !word.is_empty() {
                write!(f, " {word}")?;
            }
        }
        // 301 and 307, which are not followed: credentials go to no host that nobody named.
        if (300..400).contains(&self.status) {
            write!(f, "; it is at another endpoint or in another region than was said")?;
        }
        Ok(())
    }
}
