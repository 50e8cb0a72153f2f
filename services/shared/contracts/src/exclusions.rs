//! The list of those whom federal programmes exclude (OIG LEIE), and which providers stand on it. Its operations stand with the provider
//! service's others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ProviderId;

/// A list comes in so many parts at most.
pub const PARTS_MAX: u32 = 200;
/// So many rows a part has at most.
pub const ROWS_MAX: usize = 20_000;
/// Most characters of a review's note.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// A part of a list. The list counts once all of its parts are here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionPart {
    /// The day of the list, `YYYY-MM-DD`; not before that of the list that counts now.
    #[schemars(extend("format" = "date"))]
    pub edition: String,
    /// Which part, from 1.
    #[schemars(range(min = 1, max = 200))]
    pub part: u32,
    /// How many there are.
    #[schemars(range(min = 1, max = 200))]
    pub parts: u32,
    /// Lines of the list as it is published, the line of column names before them in each part.
    pub csv: String,
}

/// What is here of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionListStatus {
    /// Its day, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub edition: String,
    /// How many parts it has.
    pub parts: u32,
    /// How many of them are here.
    pub parts_received: u32,
    /// How many who are excluded stand in those.
    pub rows: u64,
    /// Whether it is what counts.
    pub is_current: bool,
}

/// The lists that are here: that which counts, and one that is not whole yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionLists {
    /// Each, newest first.
    pub items: Vec<ExclusionListStatus>,
}

/// By what a provider was found on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MatchedBy {
    /// By their NPI: it is they, and they take no new bookings.
    Npi,
    /// By first and last name: somebody has to look.
    Name,
}

/// What somebody found who looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExclusionDecision {
    /// It is they: they take no new bookings.
    Confirmed,
    /// It is somebody else of that name.
    Dismissed,
}

/// A provider who stands on the list, or somebody of their name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionMatch {
    /// Who.
    pub provider_id: String,
    /// Their name here.
    pub name: String,
    /// Which entry of the list.
    pub exclusion_id: String,
    /// By what.
    pub matched_by: MatchedBy,
    /// What the entry says.
    pub entry: ExclusionEntry,
    /// What somebody found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<ExclusionDecision>,
}

/// An entry of the list, as far as it says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionEntry {
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: String,
    /// Middle name.
    pub middle_name: String,
    /// Name of a business.
    pub business: String,
    /// Speciality.
    pub specialty: String,
    /// NPI, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npi: Option<String>,
    /// Day of birth, `YYYYMMDD`.
    pub dob: String,
    /// State.
    pub state: String,
    /// By which section of the act.
    pub exclusion_type: String,
    /// Since when, `YYYYMMDD`.
    pub excluded_on: String,
}

/// Which matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionMatchFilter {
    /// Those of at most so many providers, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The matches of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionMatches {
    /// Who.
    pub provider_id: String,
    /// Each.
    pub matches: Vec<ExclusionMatch>,
}

/// A review of a match by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionReviewRequest {
    /// Which entry of the list.
    pub exclusion_id: String,
    /// What was found.
    pub decision: ExclusionDecision,
    /// By what, in plain words.
    #[schemars(length(min = 1, max = 1000))]
    pub note: String,
}

/// The answer to a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExclusionReviewed {
    /// Who.
    pub provider_id: ProviderId,
    /// `Confirmed` or `Dismissed`.
    pub status: ExclusionDecision,
}
