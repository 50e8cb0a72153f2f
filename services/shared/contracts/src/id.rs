//! Ids: what names a patient, a provider, an appointment.
//!
//! A client may bring one of its own (`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, words that stand in routes refused), or the server makes
//! a prefixed, unguessable one.

use std::borrow::Cow;

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Not of the form.
    #[error(
        "must be 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or a digit"
    )]
    Form,
    /// Stands in a route of ours, so that an id could be taken for it.
    #[error("is a word that stands in the API's own paths")]
    RouteWord,
}

/// Words that follow a collection in some route, now or as promised in the design.
const ROUTE_WORDS: &[&str] = &[
    "accesses",
    "amendments",
    "audit",
    "availability",
    "break-glass",
    "calendars",
    "callbacks",
    "cancel",
    "care-team",
    "compliance",
    "confirm",
    "conflict",
    "conflicts",
    "consents",
    "credentials",
    "devices",
    "email",
    "erasure",
    "exclusions",
    "export",
    "feeds",
    "history",
    "holds",
    "login",
    "logout",
    "me",
    "preferences",
    "providers",
    "push",
    "refresh",
    "replay",
    "reports",
    "reschedule",
    "review",
    "roles",
    "search",
    "series",
    "sessions",
    "slots",
    "sms",
    "statistics",
    "suppressions",
    "templates",
    "unsubscribe",
    "users",
    "waitlist",
];

/// Checks the form of an id.
pub fn check(text: &str) -> Result<(), BadId> {
    let bytes = text.as_bytes();
    let form = (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !form {
        return Err(BadId::Form);
    }
    if ROUTE_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Err(BadId::RouteWord);
    }
    Ok(())
}

/// The schema every id shares.
pub(crate) fn schema(title: &str) -> schemars::Schema {
    schemars::json_schema!({
        "title": title,
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
    })
}

pub(crate) type Name = Cow<'static, str>;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new one, made by the server.
            pub fn generate(random: &crate::ambient::Random) -> Self {
                Self(random.id($prefix))
            }

            /// Reads one that came from outside.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                check(text).map(|()| Self(text.to_owned()))
            }

            /// Takes one that was checked before, as when it comes out of our own database.
            pub fn trusted(text: String) -> Self {
                Self(text)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Name {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schema(stringify!($name))
            }
        }
    )+};
}

ids! {
    /// A patient.
    PatientId = "pat",
    /// A provider: whoever treats.
    ProviderId = "prov",
    /// A provider's time off.
    TimeOffId = "toff",
    /// A provider's credential.
    CredentialId = "cred",
    /// An appointment.
    AppointmentId = "apt",
    /// A referral.
    ReferralId = "ref",
    /// A calendar feed.
    FeedId = "feed",
    /// A channel through which a calendar outside tells that it has changed.
    WatchId = "watch",
    /// An entry of the waitlist.
    WaitlistId = "wait",
    /// A webhook.
    WebhookId = "hook",
    /// A series of appointments.
    SeriesId = "ser",
    /// A slot that is held for a few minutes.
    SlotHoldId = "hold",
    /// A bill.
    BillId = "bill",
    /// A medical record.
    RecordId = "rec",
    /// A patient's request that a record be amended.
    AmendmentId = "amd",
    /// A grant to see somebody's records in an emergency.
    GrantId = "grant",
    /// A consent: what a patient does not share, and with whom.
    ConsentId = "cns",
    /// A notification that was sent or is to be.
    NotificationId = "notif",
    /// A device that push messages go to.
    DeviceId = "dev",
    /// An address that is written to no more.
    SuppressionId = "supp",
    /// A user: whoever can log in.
    UserId = "usr",
    /// A session: from a login until it ends.
    SessionId = "ses",
    /// An identity provider, as the stack's resource calls it; not whoever treats.
    IdentityProviderName = "idp",
    /// An event in the outbox.
    EventId = "evt",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Random;

    #[test]
    fn the_documents_ids_are_ids() {
        for id in ["12345", "prov001", "apt001", "bill789", "rec001", "a.b-c_d"] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn route_words_and_odd_texts_are_no_ids() {
        assert_eq!(check("Slots"), Err(BadId::RouteWord));
        for id in ["", ".a", "-a", "a/b", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(check(id), Err(BadId::Form), "{id:?}");
        }
    }

    #[test]
    fn a_generated_id_is_an_id_and_unlike_the_last() {
        let random = Random::seeded(1);
        let (one, other) = (PatientId::generate(&random), PatientId::generate(&random));
        assert_eq!(PatientId::parse(one.as_str()), Ok(one.clone()));
        assert_ne!(one, other);
    }
}
