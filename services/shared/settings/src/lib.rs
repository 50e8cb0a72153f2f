//! What a running part is told: [`ServiceSettings`] for each of the seven services and [`GatewayConfig`] for the gateway.
//!
//! Plain data with serde on it. The planner in the `stack` crate writes these, on Kubernetes and in one process alike;
//! services and gateway read them. Nothing here decides, and nothing here is secret: where a secret is needed stands a
//! [`SecretRef`], and its value is the file `HEALTHCARE_SECRETS_DIR/<secret>/<key>`.
//!
//! Every duration is in milliseconds or seconds and says so in its name.
//!
//! No type here refuses members that it does not know: what writes them may be newer than what reads them, and an older process must
//! start on what a newer operator says. Whoever reads what a person wrote gathers them (`serde_ignored`, or the resource's schema) and
//! refuses them there; whoever reads what a program wrote tells of them. A *value* that is not known (another way of balancing, a kind
//! of access) is refused everywhere: to guess what is meant by it could open what is to be closed.

mod access;
mod appointments;
mod calendars;
mod calls;
mod changes;
mod channels;
mod cors;
mod encryption;
mod gateway;
mod identity;
mod limits;
mod prometheus;
mod retention;
mod service;
mod stale;
mod upstream;

pub use access::AccessSettings;
pub use appointments::AppointmentSettings;
pub use calendars::{CalDavSettings, CalendarSettings, GoogleCalendarSettings};
pub use calls::ServiceCalls;
pub use changes::changes;
pub use channels::{FcmSettings, PushSettings, SmsSettings, WebPushSettings};
pub use cors::Cors;
pub use encryption::{Encryption, KekProvider, Transit};
pub use gateway::{
    Breaker, Canary, Fallback, GatewayAuth, GatewayConfig, HeaderMatch, Hedge, Method, Priority, Retries,
    Rewrite, Route, RouteAccess, StaticAnswer,
};
pub use identity::{IdentityProvider, OutsideRole, OutsideSecondFactor};
pub use limits::{KeyLimit, RateLimit, RateLimitStore, RateLimits, StoreTls};
pub use prometheus::Prometheus;
pub use retention::RetentionSettings;
pub use service::{
    AuthSettings, Database, DkimSettings, Integrations, InternalTls, LogFormat, LogOff, MailReportSettings,
    MailSettings, MailTls, NpiRegistrySettings, Observability, PasswordPolicy, Peer, SecondFactor,
    ServiceSettings, Tracing, TracingHeader, WebhookSettings,
};
pub use stale::REVOCATIONS_STALE_SECONDS;
pub use upstream::{Balancing, Concurrency, Ejection, HealthCheck, Protocol, Upstream};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parts of a stack that answer HTTP. The name is also the Kubernetes Service's and the container's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    /// `patient-service`, port 8082.
    PatientService,
    /// `appointment-service`, port 8083.
    AppointmentService,
    /// `billing-service`, port 8084.
    BillingService,
    /// `medical-records-service`, port 8081.
    MedicalRecordsService,
    /// `notification-service`, port 8085.
    NotificationService,
    /// `provider-service`, port 8086.
    ProviderService,
    /// `auth-service`, port 8087.
    AuthService,
}

impl ServiceName {
    /// All seven, in the order in which the document lists them.
    pub const ALL: [Self; 7] = [
        Self::AppointmentService,
        Self::PatientService,
        Self::BillingService,
        Self::MedicalRecordsService,
        Self::NotificationService,
        Self::ProviderService,
        Self::AuthService,
    ];

    /// The name as it stands in URLs, manifests and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatientService => "patient-service",
            Self::AppointmentService => "appointment-service",
            Self::BillingService => "billing-service",
            Self::MedicalRecordsService => "medical-records-service",
            Self::NotificationService => "notification-service",
            Self::ProviderService => "provider-service",
            Self::AuthService => "auth-service",
        }
    }

    /// The short name: its key under `spec.services`, its database schema and its SQLite file.
    pub const fn short(self) -> &'static str {
        match self {
            Self::PatientService => "patient",
            Self::AppointmentService => "appointment",
            Self::BillingService => "billing",
            Self::MedicalRecordsService => "records",
            Self::NotificationService => "notification",
            Self::ProviderService => "provider",
            Self::AuthService => "auth",
        }
    }

    /// The port it listens on where it has an address of its own.
    pub const fn port(self) -> u16 {
        match self {
            Self::MedicalRecordsService => 8081,
            Self::PatientService => 8082,
            Self::AppointmentService => 8083,
            Self::BillingService => 8084,
            Self::NotificationService => 8085,
            Self::ProviderService => 8086,
            Self::AuthService => 8087,
        }
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Port of metrics and admin pages, the same everywhere.
pub const ADMIN_PORT: u16 = 9464;

/// Port of the gateway.
pub const GATEWAY_PORT: u16 = 8080;

/// Name of the gateway, as a service has one: of its container, in its tokens and in its metrics.
pub const GATEWAY_NAME: &str = "api-gateway";

/// Where a part listens, or where another is reached: `unix:/run/patient.sock`, `http://patient-service:8082`, or with TLS
/// `https://patient-service:8082`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Address(pub String);

impl Address {
    /// The socket's path, if this is a Unix socket.
    pub fn unix_path(&self) -> Option<&std::path::Path> {
        self.0.strip_prefix("unix:").map(std::path::Path::new)
    }

    /// `host:port`, if this is a TCP address; any `http://` or `https://` and trailing slash taken off.
    pub fn authority(&self) -> Option<&str> {
        if self.unix_path().is_some() {
            return None;
        }
        let rest = self.0.strip_prefix("http://").or_else(|| self.0.strip_prefix("https://"));
        Some(rest.unwrap_or(&self.0).trim_end_matches('/'))
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a secret's value without holding it: the file `HEALTHCARE_SECRETS_DIR/<secret>/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name; locally a folder.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub secret: String,
    /// The key inside it; locally a file.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Whether it need not be written, being what holds if nothing is said.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_whether_with_tls() {
        for (text, authority, is_tls) in [
            ("unix:/run/a.sock", None, false),
            ("0.0.0.0:8082", Some("0.0.0.0:8082"), false),
            ("[::]:8082", Some("[::]:8082"), false),
            ("http://a:1/", Some("a:1"), false),
            ("https://a:1", Some("a:1"), true),
            ("https://[fd00::1]:1/", Some("[fd00::1]:1"), true),
        ] {
            let address = Address(text.to_owned());
            assert_eq!((address.authority(), address.is_tls()), (authority, is_tls), "{text}");
        }
    }

    /// Whether `text` is read as it would be without its member `later`, which only a newer version knows.
    fn passes_over<T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
        let newer: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut known = newer.clone();
        assert!(known.as_object_mut().unwrap().remove("later").is_some(), "{text}");
        let known: T = serde_json::from_value(known).unwrap();
        assert_eq!(serde_json::from_value::<T>(newer).unwrap(), known, "{text}");
    }

    /// During an upgrade the operator is newer than what it writes for.
    #[test]
    fn members_that_only_a_newer_version_knows_are_passed_over() {
        passes_over::<RateLimit>(r#"{"requestsPerSecond": 1, "burst": 2, "later": 3}"#);
        passes_over::<RateLimits>(r#"{"later": {}}"#);
        passes_over::<KeyLimit>(r#"{"header": "X-API-Key", "requestsPerSecond": 1, "burst": 2, "later": 3}"#);
        passes_over::<Retries>(r#"{"attempts": 1, "later": 3}"#);
        passes_over::<Breaker>(r#"{"later": true}"#);
        passes_over::<ServiceCalls>(r#"{"later": true}"#);
        passes_over::<SecretRef>(r#"{"secret": "a", "key": "b", "later": "c"}"#);
        passes_over::<PasswordPolicy>(r#"{"later": true}"#);
        passes_over::<MailSettings>(r#"{"host": "a", "port": 25, "from": "a@b.example", "later": []}"#);
        passes_over::<DkimSettings>(
            r#"{"domain": "b.example", "selector": "s", "privateKey": {"secret": "a", "key": "b"}, "later": []}"#,
        );
        passes_over::<Observability>(r#"{"later": {"level": "info"}}"#);
        passes_over::<Tracing>(r#"{"endpoint": "http://a:4318", "samplePercent": 1, "later": 2}"#);
    }

    #[test]
    fn a_fallback_with_a_member_more_is_the_same_fallback_and_another_fallback_is_none() {
        let read = |text: &str| serde_json::from_str::<Fallback>(text);
        let stale = Fallback::StaleRead { max_age_seconds: 60 };
        assert_eq!(read(r#"{"staleRead": {"maxAgeSeconds": 60, "later": 1}}"#).unwrap(), stale);
        assert!(read(r#"{"guess": {}}"#).is_err());
        assert!(serde_json::from_str::<RouteAccess>(r#"{"anyOf": []}"#).is_err());
    }

    #[test]
    fn settings_of_before_there_was_tls_still_read() {
        let upstream: Upstream = serde_json::from_str(r#"{"endpoints": ["http://a:1"]}"#).unwrap();
        assert_eq!(upstream.server_name, None);
        assert_eq!(
            serde_json::to_string(&upstream).unwrap(),
            r#"{"endpoints":["http://a:1"],"balancing":"RoundRobin"}"#
        );
    }

    #[test]
    fn who_says_nothing_of_a_protocol_gets_http_1_and_who_asks_for_an_unknown_one_gets_none() {
        let read = |text: &str| serde_json::from_str::<Upstream>(text);
        let protocol = |text: &str| read(text).unwrap().protocol;
        assert_eq!(protocol(r#"{"endpoints": []}"#), Protocol::Http1);
        assert_eq!(protocol(r#"{"endpoints": [], "protocol": "http2"}"#), Protocol::Http2);
        assert!(read(r#"{"endpoints": [], "protocol": "http3"}"#).is_err());
    }
}
