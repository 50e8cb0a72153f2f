//! An appointment's status, and which may follow which.
//!
//! ```text
//! Scheduled ──┬─> Rescheduled ─┬─> CheckedIn ──> InProgress ──> Completed
//!             └─> Confirmed <──┘        (a step may be left out)
//! any of these ──> Cancelled; before the patient is here ──> NoShow
//! ```

use contracts::appointments::AppointmentStatus;

use AppointmentStatus::{
    Cancelled, CheckedIn, Completed, Confirmed, InProgress, NoShow, Rescheduled, Scheduled,
};

/// Not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(*.from, *.to))]
pub struct InvalidTransition {
    /// Where it stands.
    pub from: AppointmentStatus,
    /// Where it was to go.
    pub to: AppointmentStatus,
}

fn describe(from: AppointmentStatus, to: AppointmentStatus) -> String {
    if from == to {
        return format!("An appointment that is {from:?} stays {to:?}: nothing of it is changed any more.");
    }
    format!("An appointment that is {from:?} cannot become {to:?}.")
}

/// All of them.
pub const ALL: [AppointmentStatus; 8] =
    [Scheduled, Rescheduled, Confirmed, CheckedIn, InProgress, Completed, Cancelled, NoShow];

/// The status after a change: itself again, while it is not final, or one that may follow.
pub fn follow(
    from: AppointmentStatus,
    to: AppointmentStatus,
) -> Result<AppointmentStatus, InvalidTransition> {
    let possible = match from {
        Scheduled => true,
        // Once moved, it is not as it was first scheduled.
        Rescheduled | Confirmed => to != Scheduled,
        // Whoever is here did come.
        CheckedIn => matches!(to, CheckedIn | Rescheduled | InProgress | Completed | Cancelled),
        // What has begun is at its time; it may be broken off.
        InProgress => matches!(to, InProgress | Completed | Cancelled),
        Completed | Cancelled | NoShow => false,
    };
    if possible { Ok(to) } else { Err(InvalidTransition { from, to }) }
}

/// Whether it takes the time of provider and patient. One that took place has taken it.
pub fn is_active(status: AppointmentStatus) -> bool {
    match status {
        Scheduled | Rescheduled | Confirmed | CheckedIn | InProgress | Completed => true,
        Cancelled | NoShow => false,
    }
}

/// Whether it is still to take place, or under way.
pub fn is_open(status: AppointmentStatus) -> bool {
    match status {
        Scheduled | Rescheduled | Confirmed | CheckedIn | InProgress => true,
        Completed | Cancelled | NoShow => false,
    }
}

/// Whether a patient may say so of their own appointment: what happened at the clinic, the clinic says.
pub fn is_the_patients_to_say(status: AppointmentStatus) -> bool {
    match status {
        Scheduled | Rescheduled | Confirmed | Cancelled => true,
        CheckedIn | InProgress | Completed | NoShow => false,
    }
}

/// The name, as the API has it.
pub fn name(status: AppointmentStatus) -> &'static str {
    match status {
        Scheduled => "Scheduled",
        Rescheduled => "Rescheduled",
        Confirmed => "Confirmed",
        CheckedIn => "CheckedIn",
        InProgress => "InProgress",
        Completed => "Completed",
        Cancelled => "Cancelled",
        NoShow => "NoShow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_may_follow_which() {
        let table: Vec<String> = ALL
            .iter()
            .map(|from| {
                let to: Vec<_> =
                    ALL.iter().filter(|to| follow(*from, **to).is_ok()).map(|to| name(*to)).collect();
                format!("{} -> {}", name(*from), to.join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "Scheduled -> Scheduled Rescheduled Confirmed CheckedIn InProgress Completed Cancelled NoShow",
                "Rescheduled -> Rescheduled Confirmed CheckedIn InProgress Completed Cancelled NoShow",
                "Confirmed -> Rescheduled Confirmed CheckedIn InProgress Completed Cancelled NoShow",
                "CheckedIn -> Rescheduled CheckedIn InProgress Completed Cancelled",
                "InProgress -> InProgress Completed Cancelled",
                "Completed -> ",
                "Cancelled -> ",
                "NoShow -> ",
            ]
        );
    }

    #[test]
    fn what_is_open_takes_time_and_can_be_cancelled() {
        for status in ALL {
            assert_eq!(follow(status, Cancelled).is_ok(), is_open(status), "{status:?}");
            assert!(is_active(status) || !is_open(status), "{status:?}");
        }
    }

    #[test]
    fn a_refusal_names_both_states() {
        let refused = follow(Cancelled, Rescheduled).unwrap_err().to_string();
        assert!(refused.contains("Cancelled") && refused.contains("Rescheduled"));
    }
}
