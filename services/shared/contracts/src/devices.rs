//! Devices that push messages go to. The operations stand with the notifications'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::DeviceId;

/// So many devices has a person at most.
pub const DEVICES_MAX: u32 = 20;

/// A device to register: a phone's token, or a browser's subscription.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRequest {
    /// A phone's registration token of Firebase Cloud Messaging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub token: Option<String>,
    /// A browser's `PushSubscription`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionRequest>,
    /// Whose. Left out: the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// What it is called, to tell it from others. One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub label: Option<String>,
}

/// Without what the device could be written to by.
impl std::fmt::Debug for DeviceRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceRequest").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A browser's subscription, as its Push API gives it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionRequest {
    /// Where its push service takes messages: `https`.
    #[schemars(length(min = 1, max = 2048))]
    pub endpoint: String,
    /// What messages are encrypted with (RFC 8291).
    pub keys: SubscriptionKeys,
    /// Passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<u64>,
}

/// A subscription's keys, Base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionKeys {
    /// The browser's public key.
    #[schemars(length(max = 128))]
    pub p256dh: String,
    /// The browser's secret.
    #[schemars(length(max = 64))]
    pub auth: String,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeviceKind {
    /// A phone.
    Phone,
    /// A browser.
    Browser,
}

/// A device that there is. What it is written to by is not shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its id: `to` of a push message may be it.
    pub device_id: DeviceId,
    /// What it is.
    pub kind: DeviceKind,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whose, if it is a patient's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Whose, if it is a user's who is no patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Since when, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

/// Whose devices. Left out: the caller's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFilter {
    /// This patient's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// This user's, for whoever writes users. This, or a patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// The answer to a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRemoved {
    /// The device's id.
    pub device_id: DeviceId,
    /// `Removed`.
    pub status: String,
}
