//! Calendar feeds: an address, with a secret in it, where a calendar program reads somebody's appointments (RFC 5545) without signing in.
//! The operations stand with the appointments'.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::ambient::Random;
use crate::endpoint::Representation;
use crate::id::FeedId;
use crate::secret::Secret;

/// So many feeds has a patient or a provider at most.
pub const FEEDS_MAX: u32 = 20;

/// 160 bits: RFC 6749 §10.10 asks for 128 of what must not be guessed.
const SECRET_BYTES: usize = 20;
const SECRET_CHARS: usize = SECRET_BYTES * 8 / 5;
const SUFFIX: &str = ".ics";

/// A feed asked for: of a patient or of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedRequest {
    /// Of this patient's appointments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Of the appointments with this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// What it is for, to tell it from others: `phone`. One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub label: Option<String>,
}

/// A new feed. Its address is told once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedCreated {
    /// The feed's id.
    pub feed_id: FeedId,
    /// Where calendar programs read it: a path at the gateway. Whoever has it reads the feed, until it is revoked.
    pub url: String,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

impl fmt::Debug for FeedCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedCreated").field("feed_id", &self.feed_id).finish_non_exhaustive()
    }
}

/// A feed that there is. Its address is not shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// Its id.
    pub feed_id: FeedId,
    /// Whose appointments, if it is a patient's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// With whom, if it is a provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// By which user.
    pub created_by: String,
}

/// Whose feeds. Left out: one's own, for patients and for who is a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedFilter {
    /// This patient's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// This provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// The answer to a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedRevoked {
    /// The feed's id.
    pub feed_id: FeedId,
    /// `Revoked`.
    pub status: String,
}

/// The last segment of a feed's address: the secret, and `.ics`.
#[derive(Clone, Debug)]
pub struct FeedFile(Secret);

/// It is not of the form that each has, whatever feed it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is the last segment of no feed's address")]
pub struct NoFeedFile;

impl FeedFile {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        let bytes: [u8; SECRET_BYTES] = random.bytes();
        Self(Secret::new(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        self.0.reveal()
    }

    /// Where a feed with it is read.
    pub fn path(&self, feed: &FeedId) -> String {
        format!("/api/appointments/feeds/{feed}/{self}")
    }
}

impl FromStr for FeedFile {
    type Err = NoFeedFile;

    fn from_str(text: &str) -> Result<Self, NoFeedFile> {
        let secret = text.strip_suffix(SUFFIX).ok_or(NoFeedFile)?;
        let is_base32 = |byte: u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
        let is_one = secret.len() == SECRET_CHARS && secret.bytes().all(is_base32);
        is_one.then(|| Self(Secret::new(secret))).ok_or(NoFeedFile)
    }
}

/// As it stands in the address: for whom it is to be told.
impl fmt::Display for FeedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SUFFIX}", self.secret())
    }
}

/// A calendar as text (RFC 5545).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarText(pub String);

impl Representation for CalendarText {
    const MEDIA_TYPE: &'static str = "text/calendar; charset=utf-8";

    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// It is told by its media type.
impl JsonSchema for CalendarText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CalendarText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_told_and_its_secret_is_shown_nowhere_else() {
        let file = FeedFile::generate(&Random::seeded(1));
        assert_eq!(file.secret().len(), 32);
        let told = file.to_string();
        assert_eq!(told.parse::<FeedFile>().unwrap().secret(), file.secret());
        assert!(crate::id::check(&told).is_ok());
        let created = FeedCreated {
            feed_id: FeedId::trusted("feed_1".to_owned()),
            url: file.path(&FeedId::trusted("feed_1".to_owned())),
            created_at: String::new(),
        };
        assert!(created.url.ends_with(&told));
        let shown = format!("{file:?} {created:?}");
        assert!(!shown.contains(file.secret()) && shown.contains("feed_1"), "{shown}");
        assert_ne!(file.secret(), FeedFile::generate(&Random::seeded(2)).secret());
    }

    #[test]
    fn what_is_no_secret_with_the_suffix_is_no_address() {
        let secret = "a".repeat(32);
        assert!(format!("{secret}.ics").parse::<FeedFile>().is_ok());
        for text in [
            secret.as_str(),
            ".ics",
            "",
            &format!("{secret}a.ics"),
            &format!("{}1.ics", &secret[1..]),
            &format!("{secret}.ICS"),
        ] {
            assert!(text.parse::<FeedFile>().is_err(), "{text}");
        }
    }
}
