//! [`SmsSettings`], [`PushSettings`]: whoever takes text messages and push messages.

use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A provider with Twilio's REST API, or one that speaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmsSettings {
    /// Its address, such as `https://api.twilio.com`.
    pub url: String,
    /// The account.
    pub account_sid: String,
    /// The account's token; it also signs the provider's calls to us.
    pub auth_token: SecretRef,
    /// The sending number, `+` and 7 to 15 digits.
    pub from: String,
}

/// Push messages to phones and browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushSettings {
    /// Phones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fcm: Option<FcmSettings>,
    /// Browsers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_push: Option<WebPushSettings>,
}

/// Firebase Cloud Messaging, HTTP v1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FcmSettings {
    /// Its address, such as `https://fcm.googleapis.com`.
    pub url: String,
    /// The project.
    pub project_id: String,
    /// The service account's JSON key.
    pub service_account: SecretRef,
}

/// Web Push (RFC 8030, RFC 8291, RFC 8292).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebPushSettings {
    /// The VAPID private key, PEM.
    pub vapid_key: SecretRef,
    /// Whom push services may contact: `mailto:` or `https:`.
    pub contact: String,
    /// Push services of the clinic's own, by host: these alone may have an address that is not public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_hosts: Vec<String>,
}
