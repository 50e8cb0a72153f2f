//! A patient's care team: who treats them beside those whom they have appointments with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{PatientId, ProviderId};

/// So many are in a team at most.
pub const TEAM_MAX: u32 = 50;

/// Who is to be in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CareTeamRequest {
    /// The last day, `YYYY-MM-DD`, in the clinic's time zone; left out: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
}

/// Somebody who is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CareTeamMember {
    /// Who.
    pub provider_id: ProviderId,
    /// The last day, `YYYY-MM-DD`; left out: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CareTeamChanged {
    /// Whose team.
    pub patient_id: PatientId,
    /// Who.
    pub provider_id: ProviderId,
    /// `Joined` or `Left`.
    pub status: String,
}
