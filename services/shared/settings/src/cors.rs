//! [`Cors`]: pages of which other origins may call the API from a browser.

use serde::{Deserialize, Serialize};

/// Pages of other origins that may call the API from a browser (Fetch, "CORS protocol"), by tokens that they were given themselves: cookies
/// and the like are never asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Exact origins, such as `https://portal.example.org`; there is no pattern, and no word for all of them.
    pub origins: Vec<String>,
    /// A browser need not ask again for so long what it may send, seconds.
    #[serde(default = "Cors::default_max_age_seconds")]
    pub max_age_seconds: u32,
}

impl Cors {
    /// For a stack that says nothing: ten minutes.
    pub const fn default_max_age_seconds() -> u32 {
        600
    }
}
