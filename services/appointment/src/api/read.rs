//! `GET /api/appointments/{appointmentId}`

use contracts::appointments::AppointmentById;
use http_kit::{Answer, Call};

use super::{Api, sees};
use crate::error::Error;

/// Retrieves an appointment.
pub async fn by_id(api: Api, call: Call<AppointmentById>) -> Result<Answer<AppointmentById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, &id).await?;
    let view = sees(&call.caller, &kept.appointment);
    Ok(Answer::new(kept.appointment.view(&id, view)).version(kept.version).shown(view))
}
