//! [`AuditEntry`]: what is written down, and what of it can be looked for.

use chrono::{DateTime, Utc};
use contracts::target::Target;
use contracts::trail::Told;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::KEEP_DAYS;
use crate::vault::{Period, Place, Subject};
use crate::{Db, Error};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was done, or shown.
    Done,
    /// It was refused.
    Refused,
    /// It failed, for a reason of our own.
    Failed,
}

impl AuditOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    /// As it stands in the row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Who did what to whose data. Sealed as a whole; it has no `Debug`, since it tells who is whose patient.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// An operation's id, or a job's name.
    pub operation: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// The problem's code, if it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A user's id, or `service:` and a name; empty for nobody in particular.
    pub who: String,
    /// The user's name, or what somebody who tried to sign in called themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The user for whom another service asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Whose data it was about, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// Whom a query asked for, and nothing of theirs was shown; in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// Which users, roles and sessions it was about, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// How many more of them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub targets_left_out: u32,
    /// Why, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address that the gateway saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Finds the request in logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl AuditEntry {
    /// What is told of an operation.
    pub(super) fn of(operation: &str, told: Told, outcome: AuditOutcome, code: Option<&str>) -> Self {
        let asked = told.only_asked().cloned().collect();
        Self {
            operation: operation.to_owned(),
            outcome,
            code: code.map(str::to_owned),
            who: told.who,
            name: told.name,
            roles: told.roles.iter().map(ToString::to_string).collect(),
            session: told.session,
            on_behalf_of: told.on_behalf_of,
            patients: told.patients.into_iter().collect(),
            asked,
            targets: told.targets.into_iter().collect(),
            targets_left_out: told.targets_left_out,
            reason: told.reason,
            from: told.from,
            trace_id: told.trace_id,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// An entry as it goes into its row, but for its place in a chain.
pub(super) struct Prepared {
    pub(super) at: DateTime<Utc>,
    pub(super) operation: String,
    pub(super) outcome: &'static str,
    pub(super) who: String,
    /// By whom and by what it is found.
    pub(super) about: String,
    pub(super) body: Vec<u8>,
}

/// Characters that a keyed hash has.
pub(super) const HASH_CHARS: usize = 32;

/// The body is bound to the table and to the month. Where in it is the chain's to say.
const PLACE: Place<'static> = Place { table: "audit", column: "body", row: "" };

/// The month whose key an entry of that time is under.
pub(super) fn period(at: DateTime<Utc>) -> Period {
    Period::month("audit", at, KEEP_DAYS)
}

fn subject(at: DateTime<Utc>) -> Subject<'static> {
    Subject::Period(period(at))
}

pub(super) async fn prepare(db: &Db, entry: &AuditEntry) -> Result<Prepared, Error> {
    let at = db.clock().now();
    let count = entry.patients.len() + entry.asked.len() + entry.targets.len();
    let mut about = String::with_capacity(count * HASH_CHARS);
    for patient in entry.patients.iter().chain(&entry.asked) {
        about.push_str(&patient_hash(db, patient)?);
    }
    for target in &entry.targets {
        about.push_str(&target_hash(db, target)?);
    }
    Ok(Prepared {
        at,
        operation: entry.operation.clone(),
        outcome: entry.outcome.as_str(),
        who: who_hash(db, &entry.who)?,
        about,
        body: db.vault().seal_json(&subject(at), PLACE, entry).await?,
    })
}

/// What a body says; `None` if its time is over.
pub(super) async fn open(db: &Db, at: DateTime<Utc>, body: &[u8]) -> Result<Option<AuditEntry>, Error> {
    match db.vault().open_json(&subject(at), PLACE, body).await {
        Ok(entry) => Ok(Some(entry)),
        Err(Error::KeyDestroyed { .. })
            if subject(at).expires_at().is_some_and(|end| end <= db.clock().now()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn patient_hash(db: &Db, patient: &str) -> Result<String, Error> {
    Ok(HEXLOWER.encode(&db.vault().blind("audit.patient", patient)?))
}

pub(super) fn target_hash(db: &Db, target: &Target) -> Result<String, Error> {
    Ok(HEXLOWER.encode(&db.vault().blind("audit.target", &target.to_string())?))
}

pub(super) fn who_hash(db: &Db, who: &str) -> Result<String, Error> {
    Ok(HEXLOWER.encode(&db.vault().blind("audit.who", who)?))
}
