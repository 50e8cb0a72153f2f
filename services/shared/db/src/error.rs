//! [`Error`]: what can go wrong at the database, sorted by what the caller can do about it.
//!
//! Nothing printed from here holds a row's data: PostgreSQL's `DETAIL` and a decoder's complaint quote values, so
//! neither `Display` nor `Debug` shows them, and there is no `source()` through which they would come back.

use std::fmt;
use std::sync::Arc;

/// What a constraint was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Primary key or unique index.
    Unique,
    /// Foreign key.
    ForeignKey,
    /// `check (…)`.
    Check,
    /// `not null`.
    NotNull,
    /// PostgreSQL's `exclude using gist (…)`.
    Exclusion,
    /// A trigger's `raise(abort, 'hint')` on SQLite, `raise exception 'hint'` on PostgreSQL.
    Trigger,
}

/// What went wrong.
#[derive(thiserror::Error)]
pub enum Error {
    /// A constraint refused the row.
    #[error("{kind:?} constraint refused the row ({hint})")]
    Constraint {
        /// Which kind.
        kind: ConstraintKind,
        /// PostgreSQL's constraint name, SQLite's `table.column`, a trigger's own text. Never a value.
        hint: String,
    },
    /// Lost a race that a second attempt can win: deadlock, serialization failure, busy. See [`crate::retrying`].
    #[error("lost a race for the database: {}", describe(.0))]
    Retryable(sqlx::Error),
    /// The row changed between being read and being written: run the transaction again on what stands now.
    #[error("the row changed meanwhile")]
    LostRace,
    /// No connection, no room, or no time: answer 503.
    #[error("the database is unavailable: {}", describe(.0))]
    Unavailable(sqlx::Error),
    /// The subject was erased; what was sealed for it can no longer be read.
    #[error("the key of this subject is destroyed")]
    KeyDestroyed {
        /// Whose, as it stands in the keys store, such as `patient:pat_5h2k9q`. Not printed: it names a person.
        subject: String,
    },
    /// Sealed data did not open.
    #[error("sealed data: {0}")]
    Sealed(#[from] SealError),
    /// Whoever keeps the key-encryption key does not answer: keys are neither wrapped nor unwrapped. Answer 503.
    #[error("the keeper of the key-encryption key does not answer: {why}")]
    KeeperSilent {
        /// Why.
        why: String,
    },
    /// The keys store has not been migrated yet, so there is no index key.
    #[error("the keys store is not migrated")]
    NotMigrated,
    /// Another request took this ticket over while this one was slow. Roll back; the other one answers.
    #[error("the idempotency claim was taken over")]
    Superseded,
    /// What is to be done cannot be written down, so it is not done: answer 503.
    #[error("the audit cannot be written: {0}")]
    Audit(Arc<Error>),
    /// A mistake in the program.
    #[error("database: {}", describe(.0))]
    Other(sqlx::Error),
}

/// Why sealed data did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too short, or of a version that this program does not know.
    #[error("not in a known format")]
    Malformed,
    /// Altered, or sealed for another place or subject.
    #[error("authentication failed")]
    Refused,
    /// There is no such key.
    #[error("no such key")]
    NoKey,
    /// The key is wrapped under a key-encryption key that is not here.
    #[error("wrapped under the key-encryption key {kek_id}, which the secret kek does not hold; it holds {}", .known.join(", "))]
    UnknownKek {
        /// Which.
        kek_id: String,
        /// Those that are here.
        known: Vec<String>,
    },
    /// Nothing is wrapped under this key-encryption key any more.
    #[error(
        "the key-encryption key {kek_id} was retired: all keys are wrapped under another, and this process has not heard of it"
    )]
    RetiredKek {
        /// Which.
        kek_id: String,
    },
    /// Whoever keeps the key-encryption key does not do what was asked.
    #[error("the keeper of the key-encryption key refuses: {why}")]
    KeeperRefused {
        /// What it said.
        why: String,
    },
    /// Opened, but is not the type that was asked for.
    #[error("not of the expected shape")]
    Shape,
}

impl Error {
    /// Whether it is of that one row, and others may well be opened: the row is not as it was sealed, of another shape, or its key is gone. What ails all
    /// rows alike (a key-encryption key that is not here, its keeper, the database) is not.
    pub fn is_of_the_row(&self) -> bool {
        matches!(
            self,
            Self::Sealed(SealError::Malformed | SealError::Refused | SealError::NoKey | SealError::Shape)
        )
    }

    /// Nobody answered in time.
    pub fn no_answer() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// Whether it may be over in a moment: no answer, no room. A certificate that is not trusted stays so.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Io(error)) => error.kind() != std::io::ErrorKind::InvalidData,
            Self::Unavailable(_) | Self::KeeperSilent { .. } => true,
            _ => false,
        }
    }

    /// Whether the server answered and let nobody in: it knows no such role, password or database. So does one that is still being set up.
    pub fn is_refused_login(&self) -> bool {
        let Self::Other(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| code.starts_with("28") || code == "3D000")
    }

    /// Whether trying the whole transaction again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable(_) | Self::LostRace)
    }

    /// Whether a unique constraint that covers `column` of `table` refused the row.
    ///
    /// SQLite names the columns. PostgreSQL names the constraint, so leave the names to it: `table_pkey` (taken to be
    /// on `id`, or pass `pkey`), `table_column_key`, `table_column_idx`.
    pub fn is_unique_on(&self, table: &str, column: &str) -> bool {
        let Self::Constraint { kind: ConstraintKind::Unique, hint } = self else {
            return false;
        };
        if hint.contains('.') {
            return hint.split(", ").any(|at| at.split_once('.') == Some((table, column)));
        }
        let Some(rest) = hint.strip_prefix(table).and_then(|rest| rest.strip_prefix('_')) else {
            return false;
        };
        if rest == "pkey" {
            return column == "id" || column == "pkey";
        }
        let columns = rest.strip_suffix("_key").or_else(|| rest.strip_suffix("_idx")).unwrap_or(rest);
        format!("_{columns}_").contains(&format!("_{column}_"))
    }

    /// Whether any unique or exclusion constraint refused the row.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Constraint { kind: ConstraintKind::Unique | ConstraintKind::Exclusion, .. })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db::Error({self})")
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let sorted = if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                    sqlite(&code)
                } else {
                    postgres(&code)
                };
                match sorted {
                    Sorted::Constraint(kind) => {
                        Self::Constraint { kind, hint: constraint_hint(kind, database.as_ref()) }
                    }
                    Sorted::Retryable => Self::Retryable(error),
                    Sorted::Unavailable => Self::Unavailable(error),
                    Sorted::Other => Self::Other(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }
}

enum Sorted {
    Constraint(ConstraintKind),
    Retryable,
    Unavailable,
    Other,
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres(code: &str) -> Sorted {
    match code {
        "23505" => Sorted::Constraint(ConstraintKind::Unique),
        "23503" | "23001" => Sorted::Constraint(ConstraintKind::ForeignKey),
        "23514" => Sorted::Constraint(ConstraintKind::Check),
        "23502" => Sorted::Constraint(ConstraintKind::NotNull),
        "23P01" => Sorted::Constraint(ConstraintKind::Exclusion),
        "P0001" => Sorted::Constraint(ConstraintKind::Trigger),
        "40P01" | "40001" => Sorted::Retryable,
        // lock_timeout, statement_timeout, a standby that takes no writes, idle-in-transaction timeout. These have
        // already waited as long as a request may: another attempt would only add to the load.
        "55P03" | "57014" | "25006" | "25P03" => Sorted::Unavailable,
        // connection, resources (disk full, memory, too many connections), operator's shutdown, the machine's own
        _ if ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => Sorted::Unavailable,
        _ => Sorted::Other,
    }
}

/// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
fn sqlite(code: &str) -> Sorted {
    let code: i64 = code.parse().unwrap_or_default();
    match code {
        2067 | 1555 | 2579 => Sorted::Constraint(ConstraintKind::Unique),
        787 => Sorted::Constraint(ConstraintKind::ForeignKey),
        // 3091: a value of the wrong type for a STRICT table
        275 | 3091 => Sorted::Constraint(ConstraintKind::Check),
        1299 => Sorted::Constraint(ConstraintKind::NotNull),
        1811 => Sorted::Constraint(ConstraintKind::Trigger),
        _ => match code & 0xff {
            5 | 6 => Sorted::Retryable,                  // BUSY, LOCKED
            7 | 8 | 10 | 13 | 14 => Sorted::Unavailable, // NOMEM, READONLY, IOERR, FULL, CANTOPEN
            _ => Sorted::Other,
        },
    }
}

fn constraint_hint(kind: ConstraintKind, error: &dyn sqlx::error::DatabaseError) -> String {
    if let Some(constraint) = error.constraint() {
        return constraint.to_owned();
    }
    if let (ConstraintKind::NotNull, Some(table)) = (kind, error.table()) {
        return table.to_owned();
    }
    // SQLite: "UNIQUE constraint failed: patient.id, patient.tenant"; a trigger's message is its hint.
    let message = error.message();
    message.split_once("constraint failed: ").map_or(message, |(_, at)| at).to_owned()
}

/// What may be said of a driver's error: which kind and which code, and for the database's own errors its message,
/// which names tables and columns but quotes no row.
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            format!("{} (code {})", database.message(), database.code().unwrap_or_default())
        }
        // What rustls makes of a certificate or a handshake comes this way, and quotes nothing but the certificate.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => format!("TLS: {error}"),
        sqlx::Error::Io(error) => format!("connection: {}", error.kind()),
        sqlx::Error::Tls(_) => "TLS failed".to_owned(),
        sqlx::Error::Configuration(_) => "configuration".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} is not of the type asked for"),
        sqlx::Error::Decode(_) => "a value is not of the type asked for".to_owned(),
        sqlx::Error::Encode(_) => "a value cannot be bound".to_owned(),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        sqlx::Error::PoolClosed => "closed".to_owned(),
        sqlx::Error::RowNotFound => "no row".to_owned(),
        other => other.to_string(),
    }
}
