//! Referrals: a patient sent from one provider to another, or to a speciality. Their operations stand with the appointment service's others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{PatientId, ReferralId};

/// Most characters of why somebody is referred.
pub const REASON_CHARS_MAX: usize = 1_000;
/// Most characters of a speciality.
pub const SPECIALIZATION_CHARS_MAX: usize = 200;

/// Where a referral stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReferralStatus {
    /// Nobody has answered yet.
    Requested,
    /// The patient is taken.
    Accepted,
    /// The patient is not taken.
    Declined,
    /// There is an appointment.
    Booked,
    /// The appointment took place.
    Completed,
    /// Its last day is over, and nothing came of it.
    Expired,
    /// Who made it, or the front desk, has taken it back.
    Withdrawn,
}

/// How soon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Urgency {
    /// In its time.
    #[default]
    Routine,
    /// Soon.
    Urgent,
    /// At once.
    Stat,
}

/// A new referral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralRequest {
    /// Whose.
    pub patient_id: String,
    /// Who refers; a clinician refers for themselves alone.
    pub from_provider_id: String,
    /// To whom; this or `specialization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_provider_id: Option<String>,
    /// To which speciality, where it is not said to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub specialization: Option<String>,
    /// Why, in plain words.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// How soon; `Routine` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// The last day on which something may come of it, `YYYY-MM-DD`, at the clinic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub expires_on: Option<String>,
}

/// A referral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Referral {
    /// Its id.
    pub referral_id: String,
    /// Whose.
    pub patient_id: String,
    /// Who refers.
    pub from_provider_id: String,
    /// To whom, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_provider_id: Option<String>,
    /// To which speciality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialization: Option<String>,
    /// Why. Left out for whoever has no permission `appointments:reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How soon.
    pub urgency: Urgency,
    /// The last day, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub expires_on: Option<String>,
    /// Where it stands.
    pub status: ReferralStatus,
    /// The appointment that was booked from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// When it was made, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// What was done with it, oldest first, where one is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReferralChange>,
}

/// Something that was done with a referral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralChange {
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// A user's id, or `service:` and a name.
    pub by: String,
    /// Where it stood from then on.
    pub status: ReferralStatus,
    /// Why it was declined or withdrawn. Left out for whoever has no permission `appointments:reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptRequest {
    /// Who takes the patient; needed where the referral is to a speciality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeclineRequest {
    /// Why, in plain words.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// A withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawRequest {
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub reason: Option<String>,
}

/// The answer to whatever is done with a referral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralSaved {
    /// Which.
    pub referral_id: ReferralId,
    /// Whose.
    pub patient_id: PatientId,
    /// Where it stands now.
    pub status: ReferralStatus,
}

/// Which referrals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralFilter {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// From this provider, or to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
