//! Which notifications are asked for.

use chrono::{DateTime, Utc};
use contracts::field::BadField;
use contracts::id::{AppointmentId, PatientId};
use contracts::notifications::{Channel, NotificationFilter, NotificationStatus, NotificationType};
use contracts::problem::{Faults, Problem};
use http_kit::page::Window;

use super::notification::addressee;

const ADDRESS_BYTES_MAX: usize = 4_096;

/// The sort key of the list: newest first.
pub type Key = (DateTime<Utc>, String);

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The way they went.
    pub channel: Option<Channel>,
    /// Where they stand.
    pub status: Option<NotificationStatus>,
    /// To whom, as it is compared.
    pub addressee: Option<String>,
    /// Whom they concern.
    pub patient: Option<PatientId>,
    /// The appointment that they tell of.
    pub appointment: Option<AppointmentId>,
    /// What they are about.
    pub kind: Option<NotificationType>,
    /// The stretch of the list.
    pub window: Window<Key>,
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &NotificationFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let addressee = faults.take("to", filter.to.as_deref().map(address).transpose());
        let patient = filter.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient = faults.take("patientId", patient);
        let appointment = filter.appointment_id.as_deref().map(AppointmentId::parse).transpose();
        let appointment = faults.take("appointmentId", appointment);
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search = addressee.zip(patient).zip(appointment).zip(window);
        let search = search.map(|(((addressee, patient), appointment), window)| Self {
            channel: filter.channel,
            status: filter.status,
            addressee,
            patient,
            appointment,
            kind: filter.kind,
            window,
        });
        faults.finish_query(search)
    }
}

fn address(text: &str) -> Result<String, BadField> {
    let good = (1..=ADDRESS_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    good.then(|| addressee(text))
        .ok_or_else(|| BadField::new("must be a mailbox, a phone or a device's token"))
}
