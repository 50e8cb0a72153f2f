//! What became of messages: what providers tell, who is written to no more, and how many went which way. The operations stand with the
//! notifications'.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::endpoint::Representation;
use crate::id::SuppressionId;
use crate::notifications::{Channel, NotificationStatus, NotificationType};

/// A form of an SMS provider, as it is: all of it is signed, also what is not known here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SmsForm(pub BTreeMap<String, String>);

impl SmsForm {
    /// A member's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl JsonSchema for SmsForm {
    fn schema_name() -> Cow<'static, str> {
        "SmsForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "A form as Twilio posts it.",
            "properties": {},
            "additionalProperties": { "type": "string" }
        })
    }
}

/// A message as a mail server has it (RFC 5322). What of it is no UTF-8 is replaced.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawMail(pub String);

/// Without what it says.
impl std::fmt::Debug for RawMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawMail").field("bytes", &self.0.len()).finish()
    }
}

/// It is told by its media type.
impl JsonSchema for RawMail {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RawMail".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// The answer to a mail server's report, whatever was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportTaken {
    /// `Taken`.
    pub status: String,
}

/// Why a notification is handed on once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayRequest {
    /// For the audit. One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}

/// Which notification a provider tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmsCallbackQuery {
    /// The notification's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<String>,
    /// How many of its hand-overs did not arrive before; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
}

/// What an SMS provider is answered: `TwiML`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twiml(pub String);

impl Representation for Twiml {
    const MEDIA_TYPE: &'static str = "text/xml; charset=utf-8";

    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// It is told by its media type.
impl JsonSchema for Twiml {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Twiml".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Why an address is written to no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SuppressionReason {
    /// Whoever has the number said so.
    Stop,
    /// There is no such address.
    Bounce,
    /// Whoever has the mailbox complained.
    Complaint,
    /// The device is gone.
    Gone,
}

/// An address that is written to no more. The address itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Suppression {
    /// Its id.
    pub suppression_id: SuppressionId,
    /// By which way.
    pub channel: Channel,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

/// Which suppressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionFilter {
    /// Of this address, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer when a suppression was lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionLifted {
    /// The suppression's id.
    pub suppression_id: SuppressionId,
    /// `Lifted`.
    pub status: String,
}

/// Of which time the figures are. Left out: of the last 30 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatisticsFilter {
    /// The first day, `2024-08-01`, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// How many notifications that were asked for in a stretch of days stand where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationStatistics {
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// By channel and status; what is not named there is none.
    pub items: Vec<NotificationCount>,
    /// What came of those that were handed on, by channel and type; what is not named there is none.
    #[serde(default)]
    pub effects: Vec<NotificationEffect>,
}

/// What came of the notifications of a channel and type that were handed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationEffect {
    /// The way they went.
    pub channel: Channel,
    /// What they are about.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// So many were handed on.
    pub sent: u64,
    /// So many of them arrived, as providers told.
    pub delivered: u64,
    /// So many of them came back.
    pub bounced: u64,
    /// So many of them were complained of.
    pub complained: u64,
    /// Of so many a link was followed.
    pub clicked: u64,
    /// So often links of theirs were.
    pub clicks: u64,
    /// So many were answered last by the link that confirms.
    pub confirmed: u64,
    /// So many by the one that calls off.
    pub cancelled: u64,
}

/// How many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationCount {
    /// The way they went.
    pub channel: Channel,
    /// Where they stand.
    pub status: NotificationStatus,
    /// So many.
    pub count: u64,
}
