//! `GET` and `PUT /api/notifications/preferences/{patientId}`, and of providers.

use contracts::endpoint::Endpoint;
use contracts::id::{PatientId, ProviderId};
use contracts::merge_patch::MergePatch;
use contracts::notifications::{
    PreferencesOfPatient, PreferencesOfProvider, UpdatePreferencesOfPatient, UpdatePreferencesOfProvider,
};
use contracts::permission::Role;
use contracts::preferences::{NotificationPreferences, PreferencesUpdated};
use db::Tx;
use http_kit::{Answer, Call, Caller, Reach, access, json};

use super::Api;
use crate::domain::preference::Preference;
use crate::domain::visit::{Person, Visit};
use crate::error::Error;
use crate::peers::Reached;
use crate::store::preference::{known_address_put, preference_find, preference_put};
use crate::store::scheduled::reminders_clear;
use crate::store::told::told_ahead;

/// So many of somebody's next appointments are planned anew when they wish otherwise; what is later is, when it is sent, still only sent if they wish it.
const AHEAD_MAX: u32 = 200;
/// Appointments are booked and wishes are changed at the same time.
const ATTEMPTS_MAX: u32 = 16;

/// How and when a patient wishes to be written to: theirs, and of those whom the caller may know of.
pub async fn of_patient(
    api: Api,
    call: Call<PreferencesOfPatient>,
) -> Result<Answer<PreferencesOfPatient>, Error> {
    let (patient,) = call.path;
    let mut tx = api.db.read().await?;
    if !access::reaches(&mut tx, &call.caller, &patient).await?
        || db::erasure_is_requested(&mut tx, patient.as_str()).await?
    {
        return Err(Error::NotFound);
    }
    read(&api, &mut tx, &Person::Patient(patient)).await
}

/// How and when a provider wishes to be written to: theirs, or whoever works here and is not bound by whom they treat.
pub async fn of_provider(
    api: Api,
    call: Call<PreferencesOfProvider>,
) -> Result<Answer<PreferencesOfProvider>, Error> {
    let (provider,) = call.path;
    check_provider(&call.caller, &provider)?;
    let mut tx = api.db.read().await?;
    read(&api, &mut tx, &Person::Provider(provider)).await
}

/// Changes what the body names (RFC 7396), and plans the reminders of what is ahead anew.
pub async fn update_of_patient(
    api: Api,
    call: Call<UpdatePreferencesOfPatient>,
) -> Result<Answer<UpdatePreferencesOfPatient>, Error> {
    let patient: &PatientId = &call.path.0;
    let mut tx = api.db.read().await?;
    if !access::treats(&mut tx, &call.caller, patient).await? {
        return Err(Error::NotFound);
    }
    drop(tx);
    let version = update(&api, &Person::Patient(patient.clone()), &call.body, |version| {
        Ok(call.if_match.check(version)?)
    })
    .await?;
    Ok(updated(version))
}

/// The same of a provider.
pub async fn update_of_provider(
    api: Api,
    call: Call<UpdatePreferencesOfProvider>,
) -> Result<Answer<UpdatePreferencesOfProvider>, Error> {
    let provider: &ProviderId = &call.path.0;
    check_provider(&call.caller, provider)?;
    let version = update(&api, &Person::Provider(provider.clone()), &call.body, |version| {
        Ok(call.if_match.check(version)?)
    })
    .await?;
    Ok(updated(version))
}

fn check_provider(caller: &Caller, provider: &ProviderId) -> Result<(), Error> {
    let is_they = caller.roles.contains(&Role::Clinician) && caller.provider_id.as_ref() == Some(provider);
    let is_office = caller.reach() == Reach::Everyone && !caller.is_carer();
    if is_they || is_office { Ok(()) } else { Err(Error::NotFound) }
}

fn updated<E: Endpoint<Reply = PreferencesUpdated>>(version: i64) -> Answer<E> {
    Answer::new(PreferencesUpdated { status: "Updated".to_owned() }).version(version)
}

async fn read<E>(api: &Api, tx: &mut Tx, person: &Person) -> Result<Answer<E>, Error>
where
    E: Endpoint<Reply = NotificationPreferences>,
{
    let (version, kept) = preference_find(tx, &api.db, person).await?.unwrap_or_default();
    Ok(Answer::new(kept.view()).version(version))
}

async fn update(
    api: &Api,
    person: &Person,
    patch: &MergePatch<NotificationPreferences>,
    check: impl Fn(i64) -> Result<(), Error>,
) -> Result<i64, Error> {
    // Where they are reached is asked before the transaction begins: whoever is not there has no wishes.
    let reached = api.planner.peers.reached(person).await?.ok_or(Error::NotFound)?;
    for _ in 0..ATTEMPTS_MAX {
        if let Some(version) = attempt(api, (person, &reached), patch, &check).await? {
            api.planner.wake();
            return Ok(version);
        }
    }
    Err(db::Error::LostRace.into())
}

/// The wishes and the reminders as they are wished, in one transaction: who dies in between, or is not answered by whom they meet, changes nothing. `None`: what
/// it was decided on is another by now.
async fn attempt(
    api: &Api,
    (person, reached): (&Person, &Reached),
    patch: &MergePatch<NotificationPreferences>,
    check: &impl Fn(i64) -> Result<(), Error>,
) -> Result<Option<i64>, Error> {
    let mut tx = api.db.read().await?;
    let (version, kept) = preference_find(&mut tx, &api.db, person).await?.unwrap_or_default();
    let visits = told_ahead(&mut tx, &api.db, person, AHEAD_MAX).await?;
    drop(tx);
    check(version)?;
    let changed = Preference::parse(&json::merge(patch, &kept.view())?)?;
    let planned = match visits.as_slice() {
        [] => Vec::new(),
        visits => api.planner.plan_anew(person, &changed, visits).await?,
    };
    let locks = locks(person, &visits);
    let locks: Vec<_> = locks.iter().map(String::as_str).collect();
    db::retrying(&api.db, async |mut tx| {
        tx.lock(&locks).await?;
        let (now, _) = preference_find(&mut tx, &api.db, person).await?.unwrap_or_default();
        if now != version || told_ahead(&mut tx, &api.db, person, AHEAD_MAX).await? != visits {
            return Ok(None);
        }
        preference_put(&mut tx, &api.db, person, version, &changed).await?;
        if let Person::Patient(patient) = person {
            known_address_put(&mut tx, &api.db, patient, &reached.addresses()).await?;
        }
        for visit in &visits {
            reminders_clear(&mut tx, &api.db, visit, person).await?;
        }
        api.planner.insert(&mut tx, &planned).await?;
        tx.commit().await?;
        Ok(Some(version + 1))
    })
    .await
}

/// Whose keys the rows are under.
pub(super) fn locks(person: &Person, visits: &[Visit]) -> Vec<String> {
    let own = match person {
        Person::Patient(patient) => Some(patient),
        Person::Provider(_) => None,
    };
    let patients = visits.iter().map(|visit| &visit.patient).chain(own);
    patients.map(|patient| db::erasure_lock_name(patient.as_str())).collect()
}

/// The reminders of what is ahead, as they are wished now. What has changed meanwhile was planned by what changed it.
pub(super) async fn plan_anew(
    api: &Api,
    person: &Person,
    visits: &[Visit],
    locks: &[&str],
) -> Result<(), Error> {
    let mut tx = api.db.read().await?;
    let kept = preference_find(&mut tx, &api.db, person).await?;
    drop(tx);
    let Some((version, kept)) = kept.filter(|_| !visits.is_empty()) else { return Ok(()) };
    let planned = api.planner.plan_anew(person, &kept, visits).await?;
    db::retrying(&api.db, async |mut tx| {
        tx.lock(locks).await?;
        let now = preference_find(&mut tx, &api.db, person).await?;
        if now.is_none_or(|(now, _)| now != version) {
            return Ok(());
        }
        let still: Vec<_> = told_ahead(&mut tx, &api.db, person, AHEAD_MAX).await?;
        for visit in visits.iter().filter(|visit| still.contains(visit)) {
            reminders_clear(&mut tx, &api.db, visit, person).await?;
            let theirs: Vec<_> =
                planned.iter().filter(|planned| planned.waiting.visit.id == visit.id).cloned().collect();
            api.planner.insert(&mut tx, &theirs).await?;
        }
        Ok::<_, Error>(tx.commit_unaudited().await?)
    })
    .await?;
    api.planner.wake();
    Ok(())
}
