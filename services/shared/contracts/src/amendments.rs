//! Amendments: a patient says that a record of theirs is not right, and is answered (45 CFR 164.526, GDPR art. 16).
//!
//! The record itself stays as it is. What was asked, and what came of it, is shown with it from then on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AmendmentId, PatientId, RecordId};

/// Most characters of what a record should say.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Most characters of a reason.
pub const REASON_CHARS_MAX: usize = 1_000;
/// Most amendments of a record.
pub const AMENDMENTS_MAX: usize = 50;
/// Days within which a request is to be answered (45 CFR 164.526(b)(2)).
pub const DUE_DAYS: u32 = 60;

/// What a record should say, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmendmentRequest {
    /// What it should say.
    #[schemars(length(min = 1, max = 4000))]
    pub text: String,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmendmentRequested {
    /// The amendment.
    pub amendment_id: AmendmentId,
    /// Of which record.
    pub record_id: RecordId,
    /// By when it is to be answered, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub due_by: String,
    /// `Requested`.
    pub status: AmendmentStatus,
}

/// How far an amendment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AmendmentStatus {
    /// It was asked for.
    Requested,
    /// It was right.
    Accepted,
    /// The record stands as it was.
    Denied,
}

/// What is to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// It is right.
    Accepted,
    /// The record stands as it is.
    Denied,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRequest {
    /// What is to become of it.
    pub decision: Decision,
    /// Why, in words that the patient is told.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// What the patient says to a denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisagreementRequest {
    /// In their words. It is shown with the record.
    #[schemars(length(min = 1, max = 4000))]
    pub text: String,
}

/// The answer to a decision, and to a disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmendmentAnswered {
    /// The amendment.
    pub amendment_id: AmendmentId,
    /// How far it is.
    pub status: AmendmentStatus,
}

/// An amendment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amendment {
    /// The id.
    pub amendment_id: AmendmentId,
    /// Of which record.
    pub record_id: RecordId,
    /// Whose.
    pub patient_id: PatientId,
    /// What the record should say.
    pub text: String,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub status: AmendmentStatus,
    /// When it was asked for, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub requested_at: String,
    /// By when it is to be answered, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub due_by: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// What the patient says to a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<Disagreement>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// Why.
    pub reason: String,
    /// Who says so.
    pub user_id: String,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub decided_at: String,
}

/// What the patient says to a denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disagreement {
    /// In their words.
    pub text: String,
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub stated_at: String,
}

/// Which amendments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmendmentFilter {
    /// Those that wait for an answer, if true; those that have one, if false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
