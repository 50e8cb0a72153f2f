//! A patient's consents, as FHIR has them (`Consent`): each denies somebody a kind of data, until a day or until it is withdrawn. What nobody
//! is denied goes by roles and by who treats whom.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ConsentId, PatientId};

/// So many of a patient's hold at once, at most.
pub const CONSENTS_MAX: u32 = 50;

/// A kind of data, as it is shared or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DataClass {
    /// Medical records.
    Records,
    /// The medical history that stands with the patient: allergies and chronic conditions.
    Clinical,
    /// Appointments, and why they were made.
    Appointments,
    /// Bills.
    Bills,
}

impl DataClass {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Records, Self::Clinical, Self::Appointments, Self::Bills];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Clinical => "clinical",
            Self::Appointments => "appointments",
            Self::Bills => "bills",
        }
    }
}

/// What a consent says of what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Provision {
    /// It is not shared.
    Deny,
}

/// Whom it denies something: one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct ConsentActor {
    /// All who have this role, one that was made here too. Administrators and privacy officers are not restricted, and patients see what is
    /// theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whoever is this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// This user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// What is not to be shared, and with whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentRequest {
    /// With whom.
    pub who: ConsentActor,
    /// What.
    #[schemars(length(min = 1, max = 4))]
    pub what: Vec<DataClass>,
    /// The last day, `YYYY-MM-DD`, in the clinic's time zone; left out: until it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
}

/// A consent that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Its id.
    pub consent_id: ConsentId,
    /// `deny`.
    pub provision: Provision,
    /// With whom nothing is shared.
    pub who: ConsentActor,
    /// What is not.
    pub what: Vec<DataClass>,
    /// The last day, `YYYY-MM-DD`; left out: until it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub until: Option<String>,
    /// Since when, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub recorded_at: String,
}

/// The answer to what was recorded or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentChanged {
    /// Which.
    pub consent_id: ConsentId,
    /// Whose.
    pub patient_id: PatientId,
    /// `Recorded` or `Withdrawn`.
    pub status: String,
}

/// All that a patient denies anybody, for the service that has to keep to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Denials {
    /// Whose.
    pub patient_id: PatientId,
    /// Counts the changes: what is higher is later.
    pub version: i64,
    /// Each.
    pub items: Vec<Denial>,
}

/// Something that is not shared with somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// By which consent.
    pub consent_id: ConsentId,
    /// With whom.
    pub who: ConsentActor,
    /// What.
    pub what: Vec<DataClass>,
    /// Until when.
    pub until: DateTime<Utc>,
}
