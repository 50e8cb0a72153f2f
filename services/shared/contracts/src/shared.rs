//! Shapes that several services' APIs share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How somebody is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContactInfo {
    /// `+` and 7 to 15 digits (E.164's form, no numbering-plan check).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\+[0-9]{7,15}$"))]
    pub phone: Option<String>,
    /// A mailbox, `name@domain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
}
