//! Breaking the glass: a patient's records seen in an emergency by who does not treat them, and reviewed afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{GrantId, PatientId};

/// Fewest characters of a reason: enough to say something.
pub const REASON_CHARS_MIN: usize = 10;
/// Most characters of a reason, as many as the audit keeps.
pub const REASON_CHARS_MAX: usize = 500;
/// Most characters of a review's note.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// A request to see somebody's records in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassRequest {
    /// Whose.
    pub patient_id: String,
    /// Why, in plain words. It stands in the audit and before who reviews it.
    #[schemars(length(min = 10, max = 500))]
    pub reason: String,
}

/// The answer: what was opened, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlassBroken {
    /// The grant. Who has one that still holds is given the same again.
    pub grant_id: GrantId,
    /// Whose records.
    pub patient_id: PatientId,
    /// When it ends, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// `Granted`.
    pub status: String,
}

/// How far a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReviewStatus {
    /// Nobody has looked at it yet.
    Open,
    /// Somebody has.
    Reviewed,
}

/// What a review found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Finding {
    /// It was an emergency.
    Justified,
    /// It was none.
    NotJustified,
}

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassFilter {
    /// How far their reviews are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReviewStatus>,
    /// Whose records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Records that were seen in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokenGlass {
    /// The grant.
    pub grant_id: GrantId,
    /// Whose records.
    pub patient_id: PatientId,
    /// Who saw them.
    pub user_id: String,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Why, as they said.
    pub reason: String,
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub broken_at: String,
    /// When it ended or will, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// How far its review is.
    pub status: ReviewStatus,
    /// What came of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

/// What somebody found who looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// Whether it was right.
    pub finding: Finding,
    /// In plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who says so.
    pub user_id: String,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub reviewed_at: String,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewRequest {
    /// Whether it was right. What was not is shut at once.
    pub finding: Finding,
    /// In plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub note: Option<String>,
}

/// The answer to a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlassReviewed {
    /// The grant.
    pub grant_id: GrantId,
    /// `Reviewed`.
    pub status: String,
}
