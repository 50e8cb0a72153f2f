//! The audit as it is read. Its operations stand beside those of the services that answer them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::PatientId;
use crate::target::Target;

/// What became of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuditOutcome {
    /// It was done, or shown.
    Done,
    /// It was refused.
    Refused,
    /// It failed, for a reason of the stack's own.
    Failed,
}

/// What is wrong with an entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuditDamage {
    /// It, or what it was written behind, was altered or taken away.
    Altered,
    /// What it says cannot be read: it was altered, or its key is gone before its time. Shown is what stands in the clear.
    Unreadable,
}

/// Who did what to whose data.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// When it was written down.
    pub at: DateTime<Utc>,
    /// By which service.
    pub service: String,
    /// In which of its chains.
    pub chain: String,
    /// Its number there, from 1.
    pub seq: i64,
    /// What was done: an operation's id, or the name of a job of the stack's own.
    pub operation: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// The problem's code, if it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A user's id, or `service:` and a name, or `feed:` and a calendar feed's id; empty for nobody in particular.
    pub user_id: String,
    /// The user's name, or what somebody who tried to sign in called themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The user for whom a service asked another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The ids of the patients whose data it was about: every hit of a search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// The ids of patients whom the query asked for, and nothing of theirs was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked_for: Vec<String>,
    /// The users, roles and sessions that it was about: who was changed, and what ended with that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// How many more of them, if they were more than an entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets_left_out: Option<u32>,
    /// Why, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address that the gateway saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Finds the request in logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What is wrong with the entry itself; absent if it is as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<AuditDamage>,
}

/// Entries that are looked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// About this patient's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// About this user, role or session: `user:`, `role:` or `session:`, and the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Done by this user, or `service:` and a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// This operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// With this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    /// Then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// 1 to 200; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Somebody saw or changed a patient's data, or was refused that.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientAccess {
    /// When.
    pub at: DateTime<Utc>,
    /// At which service.
    pub service: String,
    /// What was done: an operation's id.
    pub operation: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Who it was: a user's name, or a service's.
    pub who: String,
    /// What they were.
    pub roles: Vec<String>,
    /// `true` if the patient was only asked for, and nothing of theirs was shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_asked: bool,
}

impl PatientAccess {
    /// What an entry tells a patient, without what is none of their business: others' sessions and addresses, and whom else a search found.
    #[must_use]
    pub fn of(event: AuditEvent, patient: &PatientId) -> Self {
        Self {
            only_asked: event.asked_for.iter().any(|asked| asked == patient.as_str()),
            at: event.at,
            service: event.service,
            operation: event.operation,
            outcome: event.outcome,
            who: event.username.unwrap_or(event.user_id),
            roles: event.roles,
        }
    }
}

/// A stretch of a patient's accesses.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFilter {
    /// 1 to 200; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What one service is asked for, for a page of all of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditSearch {
    /// About this patient's data. Not called as patients' ids are: whoever reads the audit does not read the patient's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// About this user, role or session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Done by this user or service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// This operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// With this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    /// Then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Older than this: then, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_at: Option<DateTime<Utc>>,
    /// … in this chain, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_chain: Option<String>,
    /// … with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_seq: Option<i64>,
    /// So many at most.
    pub limit: u32,
}

/// What one service has, the newest first.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvents {
    /// The entries.
    pub items: Vec<AuditEvent>,
}

/// The audit of one service: the same operation on every one.
pub type CollectAudit = crate::patients::AuditOfPatients;
