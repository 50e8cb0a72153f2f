//! `POST /internal/events`

use contracts::client::found;
use contracts::event::{Accepted, What};
use contracts::field::Email;
use contracts::id::{PatientId, ProviderId};
use contracts::notifications::{DeliverToNotifications, NotificationType};
use db::Tx;
use http_kit::{Answer, Call, access, erasure, relay, retention};

use super::Api;
use crate::domain::notification::Draft;
use crate::domain::{credential_expiring, emergency, outside_hours, referral};
use crate::error::Error;
use crate::store::erase::notifications_erase;
use crate::store::notification::{Start, notification_insert, notification_mark};
use crate::store::told_user::{user_lock_name, user_take};

/// Takes an event: once, however often it is delivered.
pub async fn take(
    api: Api,
    call: Call<DeliverToNotifications>,
) -> Result<Answer<DeliverToNotifications>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let letters = letters(&api, &event.what).await?;
    let plan = api.planner.plan(&event.what).await?;
    let erased = event.what.erased();
    let first_time = db::retrying(&api.db, async |mut tx| {
        let written_of = letters.iter().filter_map(|letter| letter.patient.as_ref());
        let told_of = event.what.appointment().map(|notice| &notice.patient_id);
        let offered_to = match &event.what {
            What::WaitlistOffered(offer) | What::WaitlistOfferEnded(offer) => Some(&offer.patient_id),
            _ => None,
        };
        let concerned = erased
            .into_iter()
            .chain(written_of)
            .chain(told_of)
            .chain(offered_to)
            .chain(access::told_of(&event.what));
        let user = match &event.what {
            What::UserChanged(user) => Some(user),
            _ => None,
        };
        let patients = concerned.map(|patient| db::erasure_lock_name(patient.as_str()));
        let locks: Vec<_> = patients.chain(user.map(|user| user_lock_name(user.user_id.as_str()))).collect();
        tx.lock(&locks.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let first_time = db::inbox_accept(&mut tx, event.id.as_str()).await?;
        if first_time {
            access::take_in(&mut tx, &event.what).await?;
            retention::take_hold(&mut tx, &event.what).await?;
            take_in(&api, &mut tx, &letters, erased).await?;
            api.planner.take_in(&mut tx, &event.what, &plan).await?;
            if let Some(user) = user {
                user_take(&mut tx, user).await?;
            }
            tx.commit().await?;
        }
        Ok::<_, Error>(first_time)
    })
    .await?;
    if !(letters.is_empty() && plan.is_empty()) {
        api.planner.wake();
    }
    if let Some(patient) = erased {
        erasure::finish(&api.db, patient).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

async fn take_in(api: &Api, tx: &mut Tx, letters: &[Draft], erased: Option<&PatientId>) -> Result<(), Error> {
    if let Some(patient) = erased {
        notifications_erase(tx, &api.db, patient, api.years).await?;
    }
    for draft in letters {
        let start = if api.delivery.has_way(draft.channel) { Start::Due } else { Start::Kept };
        let id = api.new_id();
        match notification_insert(tx, &api.db, &id, draft, &start).await {
            // The patient is gone, and what was to be told of with them.
            Err(Error::UnknownPatient) => {}
            outcome => {
                outcome?;
                notification_mark(tx, &id, NotificationType::Alert).await?;
            }
        }
    }
    Ok(())
}

/// What is to be written of it, to whom.
async fn letters(api: &Api, what: &What) -> Result<Vec<Draft>, Error> {
    if let Some(notice) = outside_hours::notice(what) {
        let email = mailbox(api, &notice.provider_id, notice.appointment_id.as_str()).await?;
        return Ok(email.map(|email| outside_hours::letter(notice, &email)).into_iter().collect());
    }
    if let Some(notice) = credential_expiring::notice(what) {
        let email = mailbox(api, &notice.provider_id, notice.credential_id.as_str()).await?;
        return Ok(email.map(|email| credential_expiring::letter(notice, &email)).into_iter().collect());
    }
    if let Some(notice) = referral::notice(what) {
        let email = mailbox(api, &notice.provider_id, notice.referral_id.as_str()).await?;
        return Ok(email.map(|email| referral::letter(notice, &email)).into_iter().collect());
    }
    let What::GlassBroken(notice) = what else { return Ok(Vec::new()) };
    let officer = api.privacy_officer.as_ref().map(|officer| emergency::to_officer(notice, officer));
    let mut letters = Vec::from_iter(officer);
    for provider in &notice.provider_ids {
        let email = mailbox(api, provider, notice.grant_id.as_str()).await?;
        letters.extend(email.map(|email| emergency::to_provider(notice, &email)));
    }
    Ok(letters)
}

/// A provider's mailbox, if there still is one and they have an address. While their service does not answer, the event is delivered again.
async fn mailbox(api: &Api, provider: &ProviderId, about: &str) -> Result<Option<Email>, Error> {
    let known = match &api.providers {
        Some(providers) => found(providers.provider_by_id(provider).await)?,
        None => None,
    };
    let email = known.and_then(|known| known.contact_info.email).and_then(|email| Email::parse(&email).ok());
    if email.is_none() {
        tracing::debug!(about, %provider, "a provider is not told: they are gone, or have no mail address");
    }
    Ok(email)
}
