//! How and when somebody wishes to be written to. The operations stand with the notifications'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notifications::Channel;

/// So many opt-outs has a person at most: each channel and each topic, alone and together.
pub const OPT_OUTS_MAX: usize = 30;
/// So many reminders has an appointment at most, for each of those who are reminded.
pub const LEADS_MAX: usize = 5;

/// What notifications are about, as far as somebody may not wish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Topic {
    /// Appointments that are about to take place.
    Reminder,
    /// Appointments that were booked, moved or cancelled, or have something to be resolved.
    Change,
    /// What is to be looked at.
    Alert,
    /// Bills and payments.
    Billing,
    /// What nobody needs to know.
    Marketing,
    /// Accounts, and who saw what. It cannot be opted out of.
    Security,
}

/// What somebody does not wish: a topic, a channel, or a topic by a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct OptOut {
    /// By this channel; left out: by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Of this; left out: nothing at all.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
}

/// When somebody is not to be disturbed, each day in their time zone. It may go past midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// From then on, `HH:MM`.
    pub from: String,
    /// Until then, `HH:MM`.
    pub to: String,
}

/// How and when somebody wishes to be written to. What is left out is as the clinic has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationPreferences {
    /// In which language: `en`, `de`, `es` or `fr`; English if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The IANA time zone of the quiet hours; the appointment's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The channels in the order in which they are tried: the first that there is an address for, and no opt-out. None: mail, then text message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub channels: Vec<Channel>,
    /// What they do not wish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    pub opt_outs: Vec<OptOut>,
    /// When they are not to be disturbed but by what is critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// So many minutes before an appointment they are reminded of it, 10 to 43200, five at most; an empty list: never. A day and two hours if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    pub reminder_lead_minutes: Option<Vec<u32>>,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferencesUpdated {
    /// `Updated`.
    pub status: String,
}
