//! `GET /api/appointments/{appointmentId}/history`

use contracts::appointments::AppointmentHistory;
use http_kit::{Answer, Call};

use super::{Api, sees};
use crate::domain::{history, search};
use crate::error::Error;
use crate::store::change::change_list;

/// Who changed what, oldest first.
pub async fn history(api: Api, call: Call<AppointmentHistory>) -> Result<Answer<AppointmentHistory>, Error> {
    let (id,) = &call.path;
    let window = search::history(&call.query)?;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, id).await?;
    let changes = change_list(&mut tx, &api.db, id, &kept.appointment.patient, &window).await?;
    let view = sees(&call.caller, &kept.appointment);
    let changes = changes.into_iter().map(|(version, change)| (version, history::shown(change, view)));
    Ok(Answer::new(window.page(changes.collect())))
}
