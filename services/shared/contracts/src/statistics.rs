//! Counts of appointments: of nobody in particular. The operation stands with the appointments'.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::endpoint::Representation;

/// Days that one report is about at most.
pub const STATISTICS_DAYS_MAX: u32 = 366;

/// What appointments are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StatisticsBy {
    /// The day, where the clinic is.
    #[default]
    Day,
    /// The week (ISO 8601), `2026-W04`.
    Week,
    /// The month, `2026-01`.
    Month,
    /// With whom.
    Provider,
    /// With whom of which speciality, as their profiles say now, whatever its case.
    Specialization,
    /// What kind of visit.
    VisitType,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatisticsFormat {
    /// As JSON.
    #[default]
    Json,
    /// As `text/csv` (RFC 4180), a line for each group.
    Csv,
    /// As a picture, `image/svg+xml`.
    Svg,
}

/// Which appointments are counted, by what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatisticsFilter {
    /// Those that begin on this date (in the stack's time zone) or later, `YYYY-MM-DD`; 30 days before `to` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// On this date or earlier, at most 366 days later; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// By what; the day if not given.
    #[serde(default)]
    pub by: StatisticsBy,
    /// How it is written; JSON if not given.
    #[serde(default)]
    pub format: StatisticsFormat,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// The first day.
    pub from: String,
    /// The last.
    pub to: String,
    /// By what.
    pub by: StatisticsBy,
    /// All of them.
    pub total: Counts,
    /// Each group, in order.
    pub groups: Vec<Group>,
}

/// The appointments of one day, provider, ….
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Which: a day, a provider's id, …; empty: those without a kind of visit, or with providers whose profiles are gone.
    pub key: String,
    /// How many.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How many, and how they ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All.
    pub appointments: u64,
    /// That are still to take place: scheduled, rescheduled or confirmed.
    pub open: u64,
    /// Whose patients are here, or are being seen.
    pub under_way: u64,
    /// That took place.
    pub completed: u64,
    /// To which nobody came.
    pub no_shows: u64,
    /// That were called off.
    pub cancelled: u64,
    /// Of those: by the patient,
    pub cancelled_by_patient: u64,
    /// by the provider,
    pub cancelled_by_provider: u64,
    /// by the clinic.
    pub cancelled_by_clinic: u64,
    /// Of those that were called off: less than a day before.
    pub cancelled_late: u64,
    /// Of those that took place or to which nobody came, the share of the latter; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_show_rate: Option<f64>,
    /// Hours from the booking to the beginning, on average; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_hours: Option<f64>,
    /// Minutes that were booked, without what was called off or missed.
    pub booked_minutes: u64,
}

/// A report as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum StatisticsReport {
    /// As JSON.
    Json(Box<Statistics>),
    /// As text of another kind.
    Text(String),
}

impl Representation for StatisticsReport {
    const MEDIA_TYPE: &'static str = "application/json";

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(report) => report.to_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Statistics::from_bytes(bytes).map(|report| Self::Json(Box::new(report)))
    }
}

impl JsonSchema for StatisticsReport {
    fn schema_name() -> Cow<'static, str> {
        Statistics::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Statistics::json_schema(generator)
    }
}
