//! Who called an appointment off, and why.

use contracts::appointments::{self as wire, AppointmentStatus, CancelledBy};
use contracts::problem::Faults;
use serde::{Deserialize, Serialize};

use super::appointment::reason;

/// Why an appointment will not take place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// Who called it off.
    pub by: CancelledBy,
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Cancellation {
    /// Without a reason.
    pub fn by(by: CancelledBy) -> Self {
        Self { by, reason: None }
    }
}

/// Of an appointment that a change calls off, by whom and why; `None`: it takes place. What it says that cannot be goes to `faults`.
pub(super) fn cancellation(
    current: &wire::Appointment,
    changed: &wire::Appointment,
    status: AppointmentStatus,
    by: CancelledBy,
    faults: &mut Faults,
) -> Option<Cancellation> {
    let why = faults.take("cancellationReason", reason(changed.cancellation_reason.as_deref())).flatten();
    let told = changed.cancelled_by;
    if status != AppointmentStatus::Cancelled {
        let is_given = [
            ("cancellationReason", changed.cancellation_reason != current.cancellation_reason),
            ("cancelledBy", told != current.cancelled_by),
        ];
        for (field, is_given) in is_given {
            if is_given {
                faults.add(field, "must be left out, but with the status Cancelled");
            }
        }
        return None;
    }
    if by == CancelledBy::Patient && told.is_some_and(|told| told != by) {
        faults.add("cancelledBy", "must be patient, or be left out");
    }
    // One that was called off before anybody wrote down by whom stays as it is.
    let is_untold = current.status == status && told.is_none() && why.is_none();
    (!is_untold).then(|| Cancellation { by: told.unwrap_or(by), reason: why })
}
