//! [`RetentionSettings`]: for how long a service keeps what it has of patients who were deleted.

use serde::{Deserialize, Serialize};

use crate::is_default;

/// Whole years for which something is kept of a patient who was deleted, from the end of the calendar year in which it was last written. 0: it goes
/// at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionSettings {
    /// Medical records, with what patients asked to have amended in them.
    #[serde(skip_serializing_if = "is_default")]
    pub medical_records: u32,
    /// Bills that were sent; absent: with no end.
    #[serde(skip_serializing_if = "is_default")]
    pub bills: Option<u32>,
    /// Appointments, with their history.
    #[serde(skip_serializing_if = "is_default")]
    pub appointments: u32,
    /// Notifications that concern the patient.
    #[serde(skip_serializing_if = "is_default")]
    pub notifications: u32,
}
