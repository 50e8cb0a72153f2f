//! Providers' free slots across providers, conflicts of what is booked with what providers say since, and the stream that tells that something of a
//! provider's availability has changed. The operations stand with the appointments'.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::appointments::{Appointment, Slot, Warning};
use crate::endpoint::Representation;
use crate::id::{AppointmentId, ProviderId};

/// So many providers are looked at for their next free slot at most.
pub const PROVIDERS_MAX: u32 = 200;

/// A stream lasts at most so long, seconds: longer than a token is good.
pub const WATCH_SECONDS_MAX: u32 = 86_400;

/// Which providers, and from when on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextSlotFilter {
    /// Exactly, but for upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialization: Option<String>,
    /// Exactly this code of the NUCC's taxonomy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy_code: Option<String>,
    /// Words of the name or the address of a location, or their beginnings of three letters or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// A language that they speak; `pt` finds `pt-BR` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// For this kind of visit; who has none of the name is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_type: Option<String>,
    /// First date at the provider's place, `YYYY-MM-DD`; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// At most so many, 1 to 50; 20 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A provider, and when they can be had next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextSlot {
    /// Who.
    pub provider_id: String,
    /// Their name.
    pub name: String,
    /// In plain words.
    pub specialization: String,
    /// The time zone of date and time.
    pub time_zone: String,
    /// Their next free slot.
    pub slot: Slot,
}

/// Which conflicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictFilter {
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An appointment that somebody must move, cancel or keep; why stands in its `conflict`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentConflict {
    /// The appointment.
    pub appointment: Appointment,
    /// The free slots nearest to it, of the same provider; none if their profile is gone.
    pub offers: Vec<Slot>,
}

/// What becomes of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// It takes place at another time, or with somebody else.
    Move,
    /// It takes place all the same, and is not flagged again for the same cause.
    Keep,
    /// It does not take place.
    Cancel,
}

/// A resolution asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionRequest {
    /// What becomes of it.
    pub resolution: Resolution,
    /// To `move`: the date at the provider's place, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub appointment_date: Option<String>,
    /// To `move`: the beginning at the provider's place, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: Option<String>,
    /// To `move`: with whom; the same provider if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// The answer to a resolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictResolved {
    /// The appointment's id.
    pub appointment_id: AppointmentId,
    /// `Moved`, `Kept` or `Cancelled`.
    pub status: String,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// How long to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchFilter {
    /// At most so many seconds, 0 to 86,400; as long as the token is good if not given. With 0 there comes what is new, and then the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

/// The data of an event: something has changed in when a provider can be booked, and their slots are to be asked for anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityChange {
    /// Whose.
    pub provider_id: ProviderId,
    /// Counts the changes; the event's id.
    pub change: i64,
}

/// Events as they happen (`text/event-stream`): of each the name is `availability` and the data an [`AvailabilityChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStream;

impl Representation for EventStream {
    const MEDIA_TYPE: &'static str = "text/event-stream";

    fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_bytes(_: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self)
    }
}

/// It is told by its media type.
impl JsonSchema for EventStream {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EventStream".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
