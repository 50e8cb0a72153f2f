//! `POST` and `GET /api/notifications/devices`, and `DELETE` of one.
//!
//! A device is a patient's, or a user's who is no patient. Patients see their own; whoever may send notifications those of whom they may know of; whoever writes
//! users those of users.

use contracts::devices::{DEVICES_MAX, Device as Shown, DeviceRemoved};
use contracts::id::{DeviceId, PatientId, ProviderId};
use contracts::notifications::{ListDevices, RegisterDevice, RemoveDevice};
use contracts::page::Page;
use contracts::permission::{Permission, Role};
use contracts::problem::{Problem, ProblemCode};
use contracts::target::TargetKind;
use contracts::trail;
use http_kit::export::Wanted;
use http_kit::{Answer, Call, Caller, access};

use super::{Api, lock_patient};
use crate::domain::device::{Device, Kept, Owner};
use crate::error::Error;
use crate::store::device::{device_delete, device_find, device_list, device_lock, device_put};
use crate::store::told_user::user_told;

/// A device is not changed: it is removed, and another registered.
const VERSION: i64 = 1;

/// Registers a device.
pub async fn register(api: Api, call: Call<RegisterDevice>) -> Result<Answer<RegisterDevice>, Error> {
    let owner = owner(&api, &call.caller, call.body.patient_id.as_deref()).await?;
    let device = Device::parse(&call.body, &api.own_hosts)?;
    let user = call.caller.user.as_str();
    let account = owner.patient().filter(|patient| call.caller.own() == Some(*patient)).map(|_| user);
    let id = DeviceId::generate(api.db.random());
    db::retrying(&api.db, async |mut tx| {
        device_lock(&mut tx, &api.db, (user, &owner), device.address()).await?;
        let told = user_told(&mut tx, user).await?;
        if told.as_ref().is_some_and(|told| !told.is_active) {
            return Err(Problem::new(ProblemCode::Forbidden).into());
        }
        // A token may say what is no longer so.
        let is_so = |it: &ProviderId| told.as_ref().is_none_or(|told| told.provider.as_ref() == Some(it));
        let provider = provider(&call.caller, &owner).filter(is_so);
        if device_list(&mut tx, &api.db, &owner).await?.len() >= DEVICES_MAX as usize {
            return Err(too_many().into());
        }
        let (id, owner, device) = (id.clone(), owner.clone(), device.clone());
        let kept = Kept { id, owner, device, created_at: tx.now() };
        device_put(&mut tx, &api.db, &kept, (provider.as_ref(), account)).await?;
        let answer = Answer::new(kept.view()).located(&kept.id).version(VERSION);
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}

/// Lists somebody's devices.
pub async fn list(api: Api, call: Call<ListDevices>) -> Result<Answer<ListDevices>, Error> {
    let owner = match (&call.query.user_id, &call.query.patient_id) {
        (Some(user), None) if is_theirs_to_see(&call.caller, user) => Owner::User(user.clone()),
        (Some(_), _) => return Err(unknown_user().into()),
        (None, patient) => owner(&api, &call.caller, patient.as_deref()).await?,
    };
    let mut tx = api.db.read().await?;
    let items = device_list(&mut tx, &api.db, &owner).await?.iter().map(Kept::view).collect();
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Removes a device.
pub async fn remove(api: Api, call: Call<RemoveDevice>) -> Result<Answer<RemoveDevice>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = device_find(&mut tx, &api.db, id.as_str()).await?.filter(|kept| kept.id == id);
    drop(tx);
    let kept = kept.ok_or(Error::NotFound)?;
    let is_theirs = match &kept.owner {
        Owner::Patient(patient) => {
            trail::concerns(patient.as_str());
            reaches(&api, &call.caller, patient).await?
        }
        Owner::User(user) => {
            trail::touches(TargetKind::User, user);
            is_theirs_to_see(&call.caller, user)
        }
    };
    if !is_theirs {
        return Err(Error::NotFound);
    }
    call.if_match.check(VERSION)?;
    let mut tx = api.db.begin().await?;
    lock_patient(&mut tx, kept.owner.patient()).await?;
    device_delete(&mut tx, &id).await?;
    tx.commit().await?;
    Ok(Answer::new(DeviceRemoved { device_id: id, status: "Removed".to_owned() }))
}

/// A patient's devices, for the export of all that is held of them: without what could be written to them by.
pub async fn of_patient(api: Api, wanted: Wanted) -> Result<Page<Shown>, Error> {
    let mut tx = api.db.read().await?;
    let devices = device_list(&mut tx, &api.db, &Owner::Patient(wanted.patient)).await?;
    Ok(Page { items: devices.iter().map(Kept::view).collect(), next_cursor: None })
}

/// Whose devices are meant: the patient's who is named, or the caller's own.
async fn owner(api: &Api, caller: &Caller, patient: Option<&str>) -> Result<Owner, Error> {
    // The stack's own parts have none.
    if caller.is_part() {
        return Err(Error::NotFound);
    }
    let Some(patient) = patient else {
        let own = caller.own().cloned().map(Owner::Patient);
        return Ok(own.unwrap_or_else(|| Owner::User(caller.user.clone())));
    };
    let patient = PatientId::parse(patient).map_err(|_| Error::UnknownPatient)?;
    trail::concerns(patient.as_str());
    let may = reaches(api, caller, &patient).await?;
    if may { Ok(Owner::Patient(patient)) } else { Err(Error::UnknownPatient) }
}

/// Their own, or anybody's who is no patient if they administer users.
fn is_theirs_to_see(caller: &Caller, user: &str) -> bool {
    user == caller.user || caller.may(Permission::UsersWrite)
}

fn unknown_user() -> Problem {
    Problem::new(ProblemCode::InvalidFields).fault(
        "userId",
        "must be the caller's own id, but for whoever may write users, and without patientId",
    )
}

/// Which provider a user is who registers a device of their own.
fn provider(caller: &Caller, owner: &Owner) -> Option<ProviderId> {
    let is_clinician = owner.patient().is_none() && caller.roles.contains(&Role::Clinician);
    caller.provider_id.clone().filter(|_| is_clinician)
}

/// Their own, or of whom they may know, if they may send at all.
async fn reaches(api: &Api, caller: &Caller, patient: &PatientId) -> Result<bool, Error> {
    if caller.own() == Some(patient) {
        return Ok(true);
    }
    let mut tx = api.db.read().await?;
    Ok(caller.may(Permission::NotificationsSend) && access::reaches(&mut tx, caller, patient).await?)
}

fn too_many() -> Problem {
    Problem::new(ProblemCode::InvalidTransition)
        .detail(format!("There are {DEVICES_MAX} devices of one person at most. Remove one first."))
}
