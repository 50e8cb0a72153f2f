//! Whether the audit is as it was written, as it is told: by service, with the first entry of each chain that is not.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the audit is verified.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationQuery {
    /// Every chain that has entries from then on, from its first entry. If absent: what was signed for last in each chain of the last two days,
    /// and what was written since; and of all chains before, whether they end as they were signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
}

/// What the audit of all services was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditVerification {
    /// Whether each service's is sound, or empty.
    pub sound: bool,
    /// Each service that the stack has.
    pub services: Vec<ServiceVerification>,
}

/// What one service's audit was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceVerification {
    /// Whose.
    pub service: String,
    /// In a word.
    pub verdict: AuditVerdict,
    /// Entries that were looked at, and are as they were written: in each chain up to its first fault.
    pub entries: u64,
    /// Chains that were looked at.
    pub chains: u64,
    /// Entries that were looked at, and are signed for.
    pub signed: u64,
    /// The first fault of each chain that has one; the first 100 chains that have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<AuditFault>,
    /// How many chains have a fault.
    pub faulty_chains: u64,
}

/// What an audit was found to be, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuditVerdict {
    /// As it was written, as far as it was looked at.
    Sound,
    /// There is no entry, and no sign that there ever was one. An audit that is gone together with the service's keys store looks like that too:
    /// then the log alone, where the checkpoints stand, says that there was one.
    Empty,
    /// Not as it was written.
    Flawed,
    /// There is no entry and nothing that is signed, but keys that entries were sealed under: all of it was taken away.
    Lost,
    /// The service does not answer, or takes too long.
    Unanswered,
}

/// The first entry of a chain that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditFault {
    /// The chain.
    pub chain: String,
    /// Which entry.
    pub seq: i64,
    /// What is wrong with it.
    pub flaw: AuditFlaw,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuditFlaw {
    /// It, or what it was written behind, was altered.
    Altered,
    /// It was altered, and written anew with the audit key.
    Rewritten,
    /// It is not there.
    Missing,
    /// It cannot be found by whom it names.
    Unfindable,
    /// It is found by somebody whom it does not name, or there is no such entry.
    Misleading,
    /// It has a number that none is given.
    Foreign,
    /// Its chain was taken off the list of those to be signed.
    Unlisted,
    /// Its chain is called finished, and nobody signed for it.
    Unsigned,
    /// What signs for it was altered or taken away.
    Checkpoint,
}

/// Whether one service's audit is as it was written: the same operation on every one.
pub type VerifyServiceAudit = crate::patients::VerifyAuditOfPatients;
