//! `POST /internal/events`

use contracts::appointments::DeliverToAppointments;
use contracts::consents::DataClass;
use contracts::event::{Accepted, HoldNotice, What};
use contracts::id::ProviderId;
use db::Tx;
use http_kit::{Answer, Call, access, consents, erasure, relay, retention};

use super::Api;
use crate::domain::notice;
use crate::error::Error;
use crate::store::appointment::{appointment_update, provider_lock};
use crate::store::erase::{patient_erase, provider_remove};
use crate::store::search::appointments_ahead;
use crate::store::state::{availability_changed, schedule_heard};

/// Takes an event: once, however often it is delivered.
pub async fn take(
    api: Api,
    call: Call<DeliverToAppointments>,
) -> Result<Answer<DeliverToAppointments>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let denials = api.peers.denials(&event.what).await?;
    let first_time = db::retrying(&api.db, async |mut tx| {
        let seen = access::told_of(&event.what).into_iter().chain(event.what.erased());
        let locks: Vec<_> = seen.map(|patient| db::erasure_lock_name(patient.as_str())).collect();
        tx.lock(&locks.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        if !db::inbox_accept(&mut tx, event.id.as_str()).await? {
            return Ok(false);
        }
        match &event.what {
            What::PatientErased { patient_id }
            | What::PatientErasedUnderHold(HoldNotice { patient_id, .. }) => {
                retention::take_hold(&mut tx, &event.what).await?;
                patient_erase(&mut tx, &api.db, patient_id, api.years).await?;
            }
            What::ProviderRemoved { provider_id } => {
                conflicts(&api, &mut tx, provider_id, &call.caller.user).await?;
            }
            What::ProviderScheduleChanged { provider_id, .. } => {
                tx.lock(&[&provider_lock(provider_id)]).await?;
                schedule_heard(&mut tx, provider_id).await?;
            }
            what => access::take_in(&mut tx, what).await?,
        }
        if let Some(denials) = &denials {
            consents::keep(&mut tx, &api.db, denials, &[DataClass::Appointments]).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(true)
    })
    .await?;
    if let Some(patient) = event.what.erased() {
        erasure::finish(&api.db, patient).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

/// What is still to take place with a provider who is gone becomes a conflict that somebody resolves.
async fn conflicts(api: &Api, tx: &mut Tx, provider: &ProviderId, by: &str) -> Result<(), Error> {
    provider_remove(tx, provider).await?;
    for kept in appointments_ahead(tx, &api.db, provider, api.now()).await? {
        let Some(after) = kept.appointment.without_provider() else { continue };
        match appointment_update(tx, &api.db, &kept, &after, by).await {
            Err(Error::Changed) => return Err(Error::Db(db::Error::LostRace)),
            // The patient is being erased: there is nothing left to resolve.
            Err(Error::NotFound) => continue,
            outcome => outcome?,
        }
        let what = notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), &after, false);
        api.publish(tx, what).await?;
    }
    Ok(availability_changed(tx, provider).await?)
}
