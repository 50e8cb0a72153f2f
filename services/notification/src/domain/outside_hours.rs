//! The mail that tells a provider of an appointment outside their stated hours. It names the appointment and nothing else: mail is
//! read by whoever sees the screen.

use contracts::event::{AppointmentNotice, What};
use contracts::field::Email;
use contracts::notifications::Channel;

use super::notification::{Content, Draft};

/// The appointment that a provider is to be told of.
pub fn notice(what: &What) -> Option<&AppointmentNotice> {
    match what {
        What::AppointmentBooked(notice) | What::AppointmentRescheduled(notice) => {
            Some(notice).filter(|notice| notice.outside_hours)
        }
        _ => None,
    }
}

/// The mail. It concerns the patient, and goes when they go.
pub fn letter(notice: &AppointmentNotice, provider: &Email) -> Draft {
    Draft {
        channel: Channel::Email,
        content: Content {
            to: provider.to_string(),
            subject: Some("An appointment outside your hours".to_owned()),
            body: format!(
                "The appointment {} was booked with you outside the hours that you have stated, or for a time that is past.\n\
                 Please look at your calendar.\n",
                notice.appointment_id
            ),
            ..Content::default()
        },
        patient: Some(notice.patient_id.clone()),
    }
}
