//! `spec.gateway.cors`: pages of which other origins may call the API from a browser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Cors;

use super::{Span, forms, rules};

/// Pages of other origins that may call the API from a browser, by tokens that they were given: cookies are never asked for. What may be called is
/// what each operation says, as for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorsSpec {
    /// Exact origins: `https://`, a host, and a port if it is not 443; for a page on the developer's own machine also `http://localhost:5173`. There
    /// is no pattern, and no word for all of them.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 300), regex(pattern = forms::ORIGIN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub origins: Vec<String>,
    /// A browser need not ask again for so long what a page may send: 0s to 24h.
    #[serde(default = "CorsSpec::default_max_age")]
    #[schemars(extend("x-kubernetes-validations" = rules::between("0s", "24h")))]
    pub max_age: Span,
}

impl CorsSpec {
    fn default_max_age() -> Span {
        Span::from_secs(Cors::default_max_age_seconds().into())
    }
}
