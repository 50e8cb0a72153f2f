//! `spec.access`: emergencies, and who hears of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, forms, rules};

/// Who sees whose data, where it can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessSpec {
    /// How long a patient's records stay open to a clinician who does not treat them and opened them in an emergency: 5m to 8h. What is open
    /// already keeps its end.
    #[schemars(extend("x-kubernetes-validations" = rules::between("5m", "8h")))]
    pub break_glass: Span,
    /// The mailbox of whoever watches over privacy, such as `privacy@clinic.example`: what is opened in an emergency is told there. Left out:
    /// it stands in the list of open reviews alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254), regex(pattern = forms::MAILBOX))]
    pub privacy_officer: Option<String>,
}

impl Default for AccessSpec {
    fn default() -> Self {
        let usual = settings::AccessSettings::default();
        Self {
            break_glass: Span::from_secs(u64::from(usual.break_glass_seconds)),
            privacy_officer: usual.privacy_officer,
        }
    }
}
