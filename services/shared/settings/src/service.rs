//! [`ServiceSettings`]: everything one of the seven services is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AccessSettings, Address, AppointmentSettings, CalendarSettings, Encryption, IdentityProvider,
    PushSettings, RetentionSettings, SecretRef, ServiceCalls, ServiceName, SmsSettings, is_default, stale,
};

/// What a service is told; JSON in the file that `HEALTHCARE_SETTINGS` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSettings {
    /// Which one it is.
    pub service: ServiceName,
    /// Where it listens for the gateway and the other services.
    pub listen: Address,
    /// Where it serves `/metrics`, `/livez` and `/readyz`, always without TLS; absent when the process around it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<Address>,
    /// TLS with the gateway and the other services, both ways; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<InternalTls>,
    /// Where it keeps its data.
    pub database: Database,
    /// Who keeps the key-encryption key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encryption: Encryption,
    /// The stack's IANA time zone, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The stack's currency, ISO 4217, such as `EUR`.
    pub currency: String,
    /// The other services, itself among them.
    pub peers: BTreeMap<ServiceName, Peer>,
    /// On what terms it calls them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub calls: ServiceCalls,
    /// Tokens, and for auth itself their lifetimes and the password policy.
    pub auth: AuthSettings,
    /// How long an emergency lasts, and who hears of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: AccessSettings,
    /// How long it keeps what it has of patients who were deleted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention: RetentionSettings,
    /// For how long slots are held.
    #[serde(default, skip_serializing_if = "is_default")]
    pub appointments: AppointmentSettings,
    /// Systems outside the stack.
    #[serde(default)]
    pub integrations: Integrations,
    /// Logs, metrics, traces.
    #[serde(default)]
    pub observability: Observability,
}

/// TLS between the parts of a stack. Who has no certificate of the stack's own authority is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalTls {
    /// The secret with `tls.crt` and `tls.key`, which say who this part is, and `ca.crt`, whom it believes.
    pub secret: String,
}

/// Another service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Where it answers.
    pub address: Address,
}

/// One SQLite file, or one PostgreSQL schema, for the data; another beside it for the wrapped keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Database {
    /// Embedded, for one process.
    #[serde(rename_all = "camelCase")]
    Sqlite {
        /// The data file.
        path: PathBuf,
        /// The wrapped keys' file, kept out of the data's backups.
        keys_path: PathBuf,
    },
    /// A server.
    #[serde(rename_all = "camelCase")]
    Postgres {
        /// The connection URL, password included, as a secret.
        url: SecretRef,
        /// The data schema.
        schema: String,
        /// The wrapped keys' schema.
        keys_schema: String,
        /// Connections this service may hold, keys included.
        max_connections: u32,
    },
}

/// Identity: what every service checks, and what auth itself hands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthSettings {
    /// The `iss` of tokens.
    pub issuer: String,
    /// The `aud` of tokens.
    pub audience: String,
    /// Life of an access token, seconds.
    pub access_token_seconds: u32,
    /// Life of a refresh token that is not used, seconds.
    pub refresh_token_seconds: u32,
    /// Life of a session, however often it is refreshed, seconds.
    pub session_seconds: u32,
    /// Shorter lives of sessions, by role: automatic log-off (45 CFR 164.312(a)(2)(iii)). Whoever has several roles has the shortest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub log_off: BTreeMap<String, LogOff>,
    /// Who must have a second factor.
    #[serde(default, skip_serializing_if = "SecondFactor::is_nobodys")]
    pub second_factor: SecondFactor,
    /// Where people may log in outside the stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<IdentityProvider>,
    /// When who was logged out was not heard for so long, people's changes are refused, seconds.
    #[serde(default = "stale::seconds", skip_serializing_if = "stale::is_usual")]
    pub revocations_stale_seconds: u32,
    /// What a new password must be.
    pub password_policy: PasswordPolicy,
}

impl AuthSettings {
    /// When who was logged out was not heard for so long, people's changes are refused.
    pub fn revocations_stale_after(&self) -> Duration {
        Duration::from_secs(u64::from(self.revocations_stale_seconds))
    }
}

/// When somebody is logged off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogOff {
    /// When their session was not refreshed for so long, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u32>,
    /// After so long in any case, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
}

/// Who must have a second factor. Whoever else may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// Whoever has one of these roles.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
    /// Whether whoever has a role that the clinic made must too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom_roles: bool,
}

impl SecondFactor {
    fn is_nobodys(&self) -> bool {
        *self == Self::default()
    }
}

/// What a password must be when it is set. Not applied at login. NIST SP 800-63B §5.1.1.2: length, no composition rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordPolicy {
    /// Fewest characters.
    #[schemars(range(min = 8, max = 64))]
    #[serde(default = "PasswordPolicy::default_min_length")]
    pub min_length: u32,
    /// Refuse passwords from the list of common ones.
    #[serde(default = "PasswordPolicy::default_refuse_common")]
    pub refuse_common: bool,
}

impl PasswordPolicy {
    const fn default_min_length() -> u32 {
        12
    }
    const fn default_refuse_common() -> bool {
        true
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: Self::default_min_length(), refuse_common: Self::default_refuse_common() }
    }
}

/// Systems outside the stack that this service speaks to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Integrations {
    /// Outgoing mail; absent: mail goes only to the capture box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailSettings>,
    /// Calendars that appointments are kept in step with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<CalendarSettings>,
    /// The registry that knows providers' NPIs; absent: credentials are verified by people alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npi_registry: Option<NpiRegistrySettings>,
    /// Whoever takes mail, in this order, when the first surely did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mail_fallback: Vec<MailSettings>,
    /// Where mail that comes back goes, and who tells of it; absent: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_reports: Option<MailReportSettings>,
    /// Outgoing text messages; absent: they go only to the capture box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsSettings>,
    /// Whoever takes text messages, in this order, when the first surely did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sms_fallback: Vec<SmsSettings>,
    /// Outgoing push messages; absent: they go only to the capture box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushSettings>,
    /// Webhooks; absent: none are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookSettings>,
    /// Where the gateway is reached from outside, such as `https://clinic.example`: providers tell there what became of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Links of messages to these hosts are counted when they are followed; none are without `public_url`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_hosts: Vec<String>,
}

/// Addresses that are told of what happens here: whoever may make a webhook names one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSettings {
    /// Receivers of the clinic's own, by host: these alone may have an address that is not public, and be told in clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_hosts: Vec<String>,
}

/// A registry of National Provider Identifiers that speaks as NPPES does (version 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NpiRegistrySettings {
    /// Its address, such as `https://npiregistry.cms.hhs.gov/api/`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"))]
    pub url: String,
}

/// An SMTP submission server (RFC 6409).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailSettings {
    /// Host name.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// The `From` mailbox, such as `Clinic <no-reply@clinic.example>`.
    #[schemars(length(min = 3, max = 320))]
    pub from: String,
    /// User name, if the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// How mail is signed before the server gets it; absent: it is not, since most submission servers sign themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim: Option<DkimSettings>,
}

/// A signature of the sender's domain (DKIM, RFC 6376). Its public key is a text record of the domain name system, `SELECTOR._domainkey.DOMAIN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DkimSettings {
    /// Which domain signs (`d=`): that of `from`, or one above it.
    #[schemars(
        length(min = 3, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub domain: String,
    /// Under which name its key stands (`s=`).
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub selector: String,
    /// The private key in PEM: RSA of 2048 bits or more, or Ed25519.
    pub private_key: SecretRef,
}

/// Where mail that comes back goes (the envelope's sender, RFC 5321 §4.4), and by what the clinic's mail server is known that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailReportSettings {
    /// The mailbox whose mail is handed to `/api/notifications/callbacks/mail`, such as `bounces@clinic.example`.
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]+$"))]
    pub address: String,
    /// Whether `bounces+anything@clinic.example` comes to the same mailbox (RFC 5233): each mail then has a sender of its own, so that it is known
    /// also where a report does not bring it along. Only for an address of at most 18 characters before the `@`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub subaddresses: bool,
    /// What the mail server brings in `Authorization: Bearer`: 16 characters at least.
    pub token: SecretRef,
}

/// How a mail connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MailTls {
    /// TLS after STARTTLS; refused if the server has none.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// None: only for a relay on the same machine.
    None,
}

/// Logs, metrics, traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,gateway=debug`.
    #[serde(default = "Observability::default_log_level")]
    pub log_level: String,
    /// Shape of log lines.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Where traces go; absent: nowhere, and none are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

impl Observability {
    fn default_log_level() -> String {
        "info".to_owned()
    }
}

impl Default for Observability {
    fn default() -> Self {
        Self { log_level: Self::default_log_level(), log_format: LogFormat::default(), tracing: None }
    }
}

/// An OpenTelemetry collector, and what it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Where it takes OTLP over HTTP, such as `http://collector:4318`; `/v1/traces` is put behind it.
    pub endpoint: String,
    /// Share of the traces that begin in the stack, percent.
    pub sample_percent: u32,
    /// Headers that it asks for, such as an API key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<TracingHeader>,
    /// The certificates (PEM) that vouch for it, if not those that everybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// Which stack it is, among all that send there (`service.namespace`).
    #[serde(default)]
    pub stack: String,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracingHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Its value.
    pub value: SecretRef,
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}
