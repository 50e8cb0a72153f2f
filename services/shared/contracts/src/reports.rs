//! Reports on providers and specialities: what became of appointments, how much of the hours offered is booked, and when there is time next. The
//! operations stand with the appointments'.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::availability::NextSlot;
use crate::endpoint::Representation;

/// Days that one report is about at most.
pub const REPORT_DAYS_MAX: u32 = crate::statistics::STATISTICS_DAYS_MAX;
/// So many providers are in one report at most.
pub const REPORT_PROVIDERS_MAX: usize = 1_000;

/// What there is a line for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReportBy {
    /// Each provider.
    #[default]
    Provider,
    /// Each speciality, whatever its case.
    Specialization,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// As JSON.
    #[default]
    Json,
    /// As `text/csv` (RFC 4180), in which no cell begins a formula.
    Csv,
}

/// Which days of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportFilter {
    /// From this date (in the stack's time zone), `YYYY-MM-DD`; 30 days before `to` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To this date, at most 366 days later; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How it is written; JSON if not given.
    #[serde(default)]
    pub format: ReportFormat,
}

/// Which days of which providers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportsFilter {
    /// From this date (in the stack's time zone), `YYYY-MM-DD`; 30 days before `to` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To this date, at most 366 days later; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Those of this speciality, exactly, but for upper and lower case; all if not given, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialization: Option<String>,
    /// What there is a line for; each provider if not given.
    #[serde(default)]
    pub by: ReportBy,
    /// How it is written; JSON if not given.
    #[serde(default)]
    pub format: ReportFormat,
}

/// How many appointments stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCounts {
    /// Booked.
    pub scheduled: u64,
    /// Booked, then moved.
    pub rescheduled: u64,
    /// Whose patients have said that they come.
    pub confirmed: u64,
    /// Whose patients are here.
    pub checked_in: u64,
    /// That are under way.
    pub in_progress: u64,
    /// That took place.
    pub completed: u64,
    /// To which nobody came.
    pub no_show: u64,
    /// That were called off.
    pub cancelled: u64,
}

/// What there is to say of appointments that begin within a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// All that were booked, whatever became of them.
    pub appointments: u64,
    /// That took place.
    pub visits: u64,
    /// Where they stand.
    pub statuses: StatusCounts,
    /// Of those that took place or to which nobody came, the share of the latter; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_show_rate: Option<f64>,
    /// Hours from the booking to the beginning, on average; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_hours: Option<f64>,
    /// The same, in the middle: half of them waited longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_hours_median: Option<f64>,
    /// Minutes that were booked, without what was called off or missed.
    pub booked_minutes: u64,
    /// Minutes within the hours as they are stated now, less time off.
    pub offered_minutes: u64,
    /// Minutes booked by minutes offered: above 1 where more is booked than the hours say; absent if nothing is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    /// The next free half hour from now on, as `GET /api/slots` tells it; absent if there is none within 92 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_free_slot: Option<NextSlot>,
}

/// The report on one provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderReported {
    /// The first day.
    pub from: String,
    /// The last.
    pub to: String,
    /// Who.
    pub provider_id: String,
    /// Their name.
    pub name: String,
    /// In plain words.
    pub specialization: String,
    /// What there is to say.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A line of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportLine {
    /// Who; absent by speciality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Their name; absent by speciality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In plain words.
    pub specialization: String,
    /// How many providers it is about.
    pub providers: u64,
    /// What there is to say.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The report on several providers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvidersReported {
    /// The first day.
    pub from: String,
    /// The last.
    pub to: String,
    /// What there is a line for.
    pub by: ReportBy,
    /// By id of the provider, or by speciality.
    pub items: Vec<ReportLine>,
}

/// A report as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<T> {
    /// As JSON.
    Json(Box<T>),
    /// As text of another kind.
    Text(String),
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Representation for Written<T> {
    const MEDIA_TYPE: &'static str = "application/json";

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(report) => report.to_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        T::from_bytes(bytes).map(|report| Self::Json(Box::new(report)))
    }
}

impl<T: JsonSchema> JsonSchema for Written<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
