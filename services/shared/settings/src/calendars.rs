//! [`CalendarSettings`]: calendars outside the stack that appointments are kept in step with.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A calendar outside: one of `caldav` and `google`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalendarSettings {
    /// What the stack calls it.
    pub name: String,
    /// The provider whose appointments it holds; absent: every provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// How often it is looked at, seconds.
    pub poll_seconds: u32,
    /// A `CalDAV` server (RFC 4791).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caldav: Option<CalDavSettings>,
    /// Google Calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleCalendarSettings>,
}

impl CalendarSettings {
    /// How often it is looked at.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.poll_seconds))
    }
}

/// A `CalDAV` calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalDavSettings {
    /// The calendar collection's address.
    pub url: String,
    /// User name.
    pub username: String,
    /// Its password.
    pub password: SecretRef,
}

/// A Google calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleCalendarSettings {
    /// The calendar's id, such as `primary`.
    #[schemars(length(min = 1, max = 320))]
    pub calendar_id: String,
    /// The OAuth client's id.
    #[schemars(length(min = 1, max = 320))]
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: SecretRef,
    /// The refresh token that the calendar's owner granted.
    pub refresh_token: SecretRef,
    /// Where its API answers, for one that speaks it. Left out: Google's.
    #[serde(default = "GoogleCalendarSettings::default_url", skip_serializing_if = "is_googles_api")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"))]
    pub url: String,
    /// Where tokens are asked for. Left out: Google's.
    #[serde(default = "GoogleCalendarSettings::default_token_url", skip_serializing_if = "is_googles_token")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"))]
    pub token_url: String,
}

impl GoogleCalendarSettings {
    fn default_url() -> String {
        "https://www.googleapis.com/calendar/v3".to_owned()
    }

    fn default_token_url() -> String {
        "https://oauth2.googleapis.com/token".to_owned()
    }
}

fn is_googles_api(url: &str) -> bool {
    url == GoogleCalendarSettings::default_url()
}

fn is_googles_token(url: &str) -> bool {
    url == GoogleCalendarSettings::default_token_url()
}
