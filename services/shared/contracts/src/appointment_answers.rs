//! A patient's word on their appointment, by a link that they were sent. The operation stands with the appointments'.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::appointments::AppointmentStatus;
use crate::id::{PatientId, ProviderId};

/// What they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PatientsWord {
    /// They come.
    Confirm,
    /// They do not.
    Cancel,
}

/// Who says what, of which time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientsAnswer {
    /// Who: it must be theirs.
    pub patient_id: PatientId,
    /// With whom it is, as they were told.
    pub provider_id: ProviderId,
    /// When it begins, as they were told.
    pub starts_at: DateTime<Utc>,
    /// What they say.
    pub word: PatientsWord,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerTaken {
    /// Where the appointment stands now.
    pub status: AppointmentStatus,
}
