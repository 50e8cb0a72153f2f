//! Legal holds: nothing of a patient is done away with while one is on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::PatientId;

/// Why nothing of a patient may be done away with, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldRequest {
    /// Why, in plain words: the case, and who asked for it.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// The last day, `YYYY-MM-DD`, in the clinic's time zone; left out: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
}

/// A hold that is on a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Whom it is on.
    pub patient_id: PatientId,
    /// Why.
    pub reason: String,
    /// The last day, `YYYY-MM-DD`; left out: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
    /// Since when it is as it is, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub placed_at: String,
    /// Who placed it so.
    pub user_id: String,
}

/// The answer to what was placed or lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldChanged {
    /// Whom it is on, or was.
    pub patient_id: PatientId,
    /// `Placed` or `Lifted`.
    pub status: String,
}
