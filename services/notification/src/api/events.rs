//! `POST /internal/events`

use contracts::client::found;
use contracts::event::{Accepted, AppointmentNotice, What};
use contracts::field::Email;
use contracts::id::PatientId;
use contracts::notifications::DeliverToNotifications;
use db::Tx;
use http_kit::{Answer, Call, erasure};

use super::{Api, lock_patient};
use crate::domain::notification::Draft;
use crate::domain::outside_hours;
use crate::error::Error;
use crate::store::notification::{Start, notification_insert, notifications_erase};

/// Takes an event: once, however often it is delivered.
pub async fn take(
    api: Api,
    call: Call<DeliverToNotifications>,
) -> Result<Answer<DeliverToNotifications>, Error> {
    let event = &call.body;
    let letter = match outside_hours::notice(&event.what) {
        Some(notice) => letter(&api, notice).await?,
        None => None,
    };
    let erased = match &event.what {
        What::PatientErased { patient_id } => Some(patient_id),
        _ => None,
    };
    let first_time = db::retrying(&api.db, async |mut tx| {
        let concerned = erased.or(letter.as_ref().and_then(|letter| letter.patient.as_ref()));
        lock_patient(&mut tx, concerned).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            take_in(&api, &mut tx, letter.as_ref(), erased).await?;
            tx.commit().await?;
        }
        Ok::<_, Error>(first_time)
    })
    .await?;
    if letter.is_some() {
        api.delivery.wake();
    }
    if let Some(patient) = erased {
        erasure::finish(&api.db, patient).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

async fn take_in(
    api: &Api,
    tx: &mut Tx,
    letter: Option<&Draft>,
    erased: Option<&PatientId>,
) -> Result<(), Error> {
    if let Some(patient) = erased {
        notifications_erase(tx, patient).await?;
    }
    let Some(draft) = letter else { return Ok(()) };
    let start = if api.delivery.has_way(draft.channel) { Start::Due } else { Start::Kept };
    match notification_insert(tx, &api.db, &api.new_id(), draft, &start).await {
        // The patient is gone, and the appointment with them.
        Err(Error::UnknownPatient) => Ok(()),
        outcome => outcome,
    }
}

/// The mail to the provider, if there still is one and they have an address. While their service does not answer, the event is
/// delivered again.
async fn letter(api: &Api, notice: &AppointmentNotice) -> Result<Option<Draft>, Error> {
    let provider = match &api.providers {
        Some(providers) => found(providers.provider_by_id(&notice.provider_id).await)?,
        None => None,
    };
    let email =
        provider.and_then(|provider| provider.contact_info.email).and_then(|email| Email::parse(&email).ok());
    if email.is_none() {
        tracing::debug!(
            appointment = %notice.appointment_id,
            provider = %notice.provider_id,
            "nobody is told of an appointment outside hours: the provider is gone, or has no mail address"
        );
    }
    Ok(email.map(|email| outside_hours::letter(notice, &email)))
}
