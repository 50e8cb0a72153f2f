//! A device that push messages go to: a phone by its token, a browser by its subscription.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::devices::{Device as Shown, DeviceKind, DeviceRequest};
use contracts::field::{self, BadField};
use contracts::id::{DeviceId, PatientId};
use contracts::problem::{Faults, Problem};
use data_encoding::BASE64URL_NOPAD;
use http_kit::outside::endpoint;
use serde::{Deserialize, Serialize};

use super::notification::device_token;

const ENDPOINT_BYTES_MAX: usize = 2_048;
const LABEL_CHARS_MAX: usize = 100;
/// An uncompressed point of P-256 (RFC 8291 §3.1).
const P256DH_BYTES: usize = 65;
const AUTH_BYTES: usize = 16;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A mailbox, a number, a phone's token.
    Address(String),
    /// A browser.
    Browser(Subscription),
}

/// A browser's subscription (the Push API's `PushSubscription`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where its push service takes messages.
    pub endpoint: String,
    /// Its public key.
    pub p256dh: Vec<u8>,
    /// Its secret.
    pub auth: Vec<u8>,
}

/// What is sealed of a device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// A phone's token.
    pub token: Option<String>,
    /// A browser's subscription.
    pub subscription: Option<Subscription>,
    /// What it is called, to tell it from others.
    pub label: Option<String>,
}

/// Without what it could be written to by.
impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A device as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: DeviceId,
    /// Whose: a patient's, or a user's.
    pub owner: Owner,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// What is sealed of it.
    pub device: Device,
}

/// Whose a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A patient's: sealed under their key, and gone when they go.
    Patient(PatientId),
    /// A user's who is no patient.
    User(String),
}

impl Owner {
    /// The patient, if it is one.
    pub fn patient(&self) -> Option<&PatientId> {
        match self {
            Self::Patient(patient) => Some(patient),
            Self::User(_) => None,
        }
    }
}

impl Device {
    /// Reads one that is registered.
    pub fn parse(request: &DeviceRequest, own_hosts: &[String]) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let token = faults.take("token", request.token.as_deref().map(device_token).transpose());
        let label = request.label.as_deref().map(|label| field::line(label, LABEL_CHARS_MAX)).transpose();
        let label = faults.take("label", label);
        let subscription = request.subscription.as_ref();
        if request.token.is_some() == subscription.is_some() {
            faults.add("token", "must be given, or a subscription, and not both");
        }
        let subscription = match subscription {
            None => Some(None),
            Some(it) => {
                let url = checked_endpoint(&it.endpoint, own_hosts);
                let endpoint = faults.take("subscription.endpoint", url);
                let p256dh = faults.take("subscription.keys.p256dh", key(&it.keys.p256dh, P256DH_BYTES));
                let auth = faults.take("subscription.keys.auth", key(&it.keys.auth, AUTH_BYTES));
                endpoint
                    .zip(p256dh)
                    .zip(auth)
                    .map(|((endpoint, p256dh), auth)| Some(Subscription { endpoint, p256dh, auth }))
            }
        };
        let device = token.zip(subscription).zip(label);
        faults.finish(device.map(|((token, subscription), label)| Self { token, subscription, label }))
    }

    /// By what it is found again: its token, or its endpoint.
    pub fn address(&self) -> &str {
        let endpoint = self.subscription.as_ref().map(|it| it.endpoint.as_str());
        self.token.as_deref().or(endpoint).unwrap_or_default()
    }

    /// Where messages to it go.
    pub fn target(self) -> Target {
        match (self.subscription, self.token) {
            (Some(subscription), _) => Target::Browser(subscription),
            (None, token) => Target::Address(token.unwrap_or_default()),
        }
    }
}

impl Kept {
    /// As the API shows it: without what could be written to it by.
    pub fn view(&self) -> Shown {
        let is_browser = self.device.subscription.is_some();
        let (patient_id, user_id) = match &self.owner {
            Owner::Patient(patient) => (Some(patient.to_string()), None),
            Owner::User(user) => (None, Some(user.clone())),
        };
        Shown {
            device_id: self.id.clone(),
            kind: if is_browser { DeviceKind::Browser } else { DeviceKind::Phone },
            label: self.device.label.clone(),
            patient_id,
            user_id,
            created_at: self.created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }
}

fn checked_endpoint(text: &str, own_hosts: &[String]) -> Result<String, BadField> {
    let good = text.len() <= ENDPOINT_BYTES_MAX && endpoint(text, own_hosts).is_some();
    good.then(|| text.to_owned())
        .ok_or_else(|| BadField::new("must be an https address of a public push service"))
}

/// Base64url, padded or not (browsers do both).
fn key(text: &str, bytes: usize) -> Result<Vec<u8>, BadField> {
    let key = BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
    key.filter(|key| key.len() == bytes)
        .ok_or_else(|| BadField::new("must be the subscription's key in Base64url"))
}

#[cfg(test)]
mod tests {
    use contracts::devices::{SubscriptionKeys, SubscriptionRequest};

    use super::*;

    fn browser(endpoint: &str, p256dh: &str, auth: &str) -> Result<Device, Problem> {
        let keys = SubscriptionKeys { p256dh: p256dh.to_owned(), auth: auth.to_owned() };
        let subscription = SubscriptionRequest { endpoint: endpoint.to_owned(), keys, expiration_time: None };
        Device::parse(&DeviceRequest { subscription: Some(subscription), ..DeviceRequest::default() }, &[])
    }

    #[test]
    fn a_device_is_a_phone_or_a_browser_of_a_public_push_service() {
        let p256dh =
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        let auth = "BTBZMqHH6r4Tts7J_aSIgg==";
        assert!(browser("https://push.example.com/x", p256dh, auth).is_ok());
        for (endpoint, p256dh, auth) in [
            ("https://10.0.0.1/x", p256dh, auth),
            ("http://push.example.com/x", p256dh, auth),
            ("https://push.example.com/x", "", auth),
            ("https://push.example.com/x", p256dh, "AA"),
        ] {
            assert_eq!(
                browser(endpoint, p256dh, auth).unwrap_err().errors.len(),
                1,
                "{endpoint} {p256dh} {auth}"
            );
        }
        assert!(Device::parse(&DeviceRequest::default(), &[]).is_err());
    }
}
