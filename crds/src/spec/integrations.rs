//! `spec.integrations`: systems outside the stack. Secrets are named, never written here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{GoogleCalendarSettings, MailReportSettings, MailSettings, NpiRegistrySettings, SecretRef};

use super::{Span, forms, rules};

/// Systems outside the stack. What is left out is not spoken to: messages then go to the capture box alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::integrations()))]
pub struct IntegrationsSpec {
    /// The server that takes outgoing mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules::mail()))]
    pub mail: Option<MailSettings>,
    /// Servers that take it, in this order, when the first surely did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = rules::mail_fallback()))]
    pub mail_fallback: Vec<MailSettings>,
    /// Where mail that comes back goes, and by what the mail server is known that tells of it; left out: nobody tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_reports: Option<MailReportSettings>,
    /// The provider that takes text messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsSpec>,
    /// Providers that take them, in this order, when the first surely did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "atomic"))]
    pub sms_fallback: Vec<SmsSpec>,
    /// Push messages to phones and browsers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<PushSpec>,
    /// Where the gateway is reached from outside, such as `https://clinic.example`. Providers tell there what became of messages; left out: they
    /// tell nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 320), regex(pattern = forms::ENDPOINT))]
    pub public_url: Option<String>,
    /// Hosts of the clinic's own pages: links of messages to them are counted when they are followed. Left out: none are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = forms::HOST_OR_ADDRESS)), extend("x-kubernetes-list-type" = "set"))]
    pub link_hosts: Vec<String>,
    /// The provider that takes card payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payments: Option<Payments>,
    /// Insurers that claims go to.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub payers: Vec<Payer>,
    /// Calendars that appointments are kept in step with.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub calendars: Vec<Calendar>,
    /// Another health record system, spoken to in FHIR R4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ehr: Option<Ehr>,
    /// Webhooks, by which systems outside are told of a provider's availability; left out, none are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Webhooks>,
    /// The registry that knows providers' NPIs, such as NPPES; left out, credentials are verified by people alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npi_registry: Option<NpiRegistrySettings>,
}

/// A provider with Twilio's REST API, or one that speaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmsSpec {
    /// Its address. Left out: Twilio's.
    #[serde(default = "SmsSpec::default_url")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// The account.
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::ACCOUNT))]
    pub account_sid: String,
    /// The account's token; it also signs the provider's calls to us.
    pub auth_token: SecretRef,
    /// The sending number, `+` and 7 to 15 digits.
    #[schemars(regex(pattern = forms::PHONE), length(max = 16))]
    pub from: String,
}

impl SmsSpec {
    fn default_url() -> String {
        "https://api.twilio.com".to_owned()
    }
}

/// Push messages: at least one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::push()))]
pub struct PushSpec {
    /// Phones, by Firebase Cloud Messaging (HTTP v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fcm: Option<Fcm>,
    /// Browsers, by Web Push (RFC 8030, RFC 8291, RFC 8292).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_push: Option<WebPush>,
}

/// Firebase Cloud Messaging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fcm {
    /// Its address. Left out: Google's.
    #[serde(default = "Fcm::default_url")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// The project.
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::PROJECT))]
    pub project_id: String,
    /// The service account's JSON key.
    pub service_account: SecretRef,
}

impl Fcm {
    fn default_url() -> String {
        "https://fcm.googleapis.com".to_owned()
    }
}

/// Web Push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebPush {
    /// The VAPID private key (RFC 8292), PEM.
    pub vapid_key: SecretRef,
    /// Whom push services may contact: `mailto:` or `https:`.
    #[schemars(length(min = 1, max = 320), regex(pattern = forms::CONTACT))]
    pub contact: String,
    /// Push services of the clinic's own, by host: these alone may have an address that is not public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = forms::HOST_OR_ADDRESS)), extend("x-kubernetes-list-type" = "set"))]
    pub own_hosts: Vec<String>,
}

/// Webhooks: to public hosts over `https`, and to these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhooks {
    /// Receivers of the clinic's own, by host: these alone may have an address that is not public, and be told in clear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = forms::HOST_OR_ADDRESS)), extend("x-kubernetes-list-type" = "set"))]
    pub own_hosts: Vec<String>,
}

/// A provider with Stripe's REST API, or one that speaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payments {
    /// Its address. Left out: Stripe's.
    #[serde(default = "Payments::default_url")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// The secret API key.
    pub api_key: SecretRef,
    /// What the provider signs its calls to us with.
    pub webhook_secret: SecretRef,
}

impl Payments {
    fn default_url() -> String {
        "https://api.stripe.com".to_owned()
    }
}

/// An insurer that claims go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payer {
    /// The payer's identifier, as bills name it.
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::ID))]
    pub id: String,
    /// Its name, for people.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Where claims are sent.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// The token that it knows us by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
}

/// A calendar: exactly one of `caldav` and `google`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::calendar()))]
pub struct Calendar {
    /// What the stack calls it.
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::ID))]
    pub name: String,
    /// The provider whose appointments it holds. Left out: every provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = forms::ID))]
    pub provider_id: Option<String>,
    /// How often changes are fetched: 10s to 1d.
    #[serde(default = "Calendar::default_poll_interval")]
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(10, 1)))]
    pub poll_interval: Span,
    /// A `CalDAV` server (RFC 4791).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caldav: Option<CalDav>,
    /// Google Calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleCalendarSettings>,
}

impl Calendar {
    const fn default_poll_interval() -> Span {
        Span::from_secs(60)
    }
}

/// A `CalDAV` calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalDav {
    /// The calendar collection's address.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// User name.
    #[schemars(length(min = 1, max = 320))]
    pub username: String,
    /// Its password.
    pub password: SecretRef,
}

/// Another health record system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ehr {
    /// Its FHIR R4 base address.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub url: String,
    /// How we show who we are. Left out: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<EhrAuth>,
    /// How often changes are fetched: 10s to 1d.
    #[serde(default = "Ehr::default_poll_interval")]
    #[schemars(extend("x-kubernetes-validations" = rules::up_to_days(10, 1)))]
    pub poll_interval: Span,
}

impl Ehr {
    const fn default_poll_interval() -> Span {
        Span::from_secs(300)
    }
}

/// OAuth 2.0 client credentials, as SMART Backend Services (signed assertion) has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EhrAuth {
    /// The token endpoint.
    #[schemars(length(min = 1, max = 2048), regex(pattern = forms::URL))]
    pub token_url: String,
    /// Our client id there.
    #[schemars(length(min = 1, max = 320))]
    pub client_id: String,
    /// The private key that signs our assertion, PEM.
    pub private_key: SecretRef,
    /// The scopes asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<String>,
}
