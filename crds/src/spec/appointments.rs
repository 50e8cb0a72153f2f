//! `spec.appointments`: for how long slots are held.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, rules};

/// For how long a slot is held for whoever chooses it, or is offered it. What is held already keeps its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::appointments()))]
pub struct AppointmentsSpec {
    /// How long a slot that somebody chooses is held, if they do not say (`holdMinutes`): 1m to `slotHoldMax`.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1m", "1h")))]
    pub slot_hold: Span,
    /// How long they may have it held: 1m to 1h.
    #[schemars(extend("x-kubernetes-validations" = rules::between("1m", "1h")))]
    pub slot_hold_max: Span,
    /// How long a slot is held for who waits and is offered it: 5m to 12h, and not beyond its beginning.
    #[schemars(extend("x-kubernetes-validations" = rules::between("5m", "12h")))]
    pub waitlist_offer: Span,
}

impl Default for AppointmentsSpec {
    fn default() -> Self {
        let usual = settings::AppointmentSettings::default();
        let span = |seconds: u32| Span::from_secs(u64::from(seconds));
        Self {
            slot_hold: span(usual.slot_hold_seconds),
            slot_hold_max: span(usual.slot_hold_seconds_max),
            waitlist_offer: span(usual.waitlist_offer_seconds),
        }
    }
}
