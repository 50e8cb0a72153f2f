//! `spec.retention`: for how many years what is held of deleted patients is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For how many whole years each kind of data is kept when its patient is deleted: 0 to 100, from the end of the calendar year in which it was
/// last written. Meanwhile it is restricted. Which number is right is the law's where the clinic is, and the clinic's to say. Longer years hold for
/// what is kept already, shorter ones for who is deleted from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionSpec {
    /// Medical records, with what patients asked to have amended in them. 0: they go at once.
    #[schemars(range(min = 0, max = 100))]
    pub medical_records: u32,
    /// Bills that were sent. Left out: they are kept with no end. 0: they go at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub bills: Option<u32>,
    /// Appointments, with their history. 0: they go at once.
    #[schemars(range(min = 0, max = 100))]
    pub appointments: u32,
    /// Notifications that concern the patient. 0: they go at once.
    #[schemars(range(min = 0, max = 100))]
    pub notifications: u32,
}
