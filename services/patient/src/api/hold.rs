//! `GET`, `PUT` and `DELETE /api/patients/{patientId}/hold`

use std::time::Duration;

use contracts::event::{Event, HoldNotice, What};
use contracts::holds::HoldChanged;
use contracts::id::{EventId, PatientId};
use contracts::patients::{HoldOfPatient, LiftHold, PlaceHold};
use contracts::trail;
use db::{LegalHold, Tx};
use http_kit::{Answer, Call, Caller, access, relay};

use super::Api;
use crate::domain::hold::Hold;
use crate::domain::until::end_of;
use crate::error::Error;
use crate::store::hold::{hold_delete, hold_find, hold_put};
use crate::store::patient::patient_was;

/// The answer waits so long at most for every service to know.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// The hold that is on a patient, also on one who was deleted.
pub async fn read(api: Api, call: Call<HoldOfPatient>) -> Result<Answer<HoldOfPatient>, Error> {
    let (patient,) = &call.path;
    let mut tx = api.db.read().await?;
    check_patient(&mut tx, &call.caller, patient).await?;
    let version = db::legal_hold_on(&mut tx, patient.as_str()).await?.ok_or(Error::NotFound)?;
    let hold = hold_find(&mut tx, &api.db, patient).await?.ok_or(Error::NotFound)?;
    Ok(Answer::new(hold.view(patient)).version(version).no_store())
}

/// Places one, or changes the one that is on them. Why is told to nobody but those who may ask here, and to the audit.
pub async fn place(api: Api, call: Call<PlaceHold>) -> Result<Answer<PlaceHold>, Error> {
    let (patient,) = &call.path;
    let (version, event) = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        check_patient(&mut tx, &call.caller, patient).await?;
        let before = db::legal_hold_find(&mut tx, patient.as_str()).await?;
        call.if_match.check(before.map_or(0, |hold| hold.version))?;
        let hold = Hold::parse(&call.body, api.today(), (&call.caller.user, tx.now()))?;
        trail::because(&hold.reason);
        hold_put(&mut tx, &api.db, patient, &hold).await?;
        let until = hold.last_day.map(|day| end_of(Some(day), api.time_zone));
        let now = LegalHold { version: next(before), is_active: true, until };
        let event = tell(&api, &mut tx, patient, now).await?;
        tx.commit().await?;
        Ok::<_, Error>((now.version, event))
    })
    .await?;
    // Whoever places a hold may delete next: where one is told of it, the other is kept. It is placed in any case.
    if !matches!(relay::until_delivered(&api.db, &event, TOLD_WITHIN).await, Ok(true)) {
        tracing::warn!("a hold was placed, and not every service is known to have been told yet");
    }
    Ok(Answer::new(changed(patient, "Placed")).version(version))
}

/// Lifts it: what it alone keeps of a deleted patient goes within the hour.
pub async fn lift(api: Api, call: Call<LiftHold>) -> Result<Answer<LiftHold>, Error> {
    let (patient,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        check_patient(&mut tx, &call.caller, patient).await?;
        let before = db::legal_hold_find(&mut tx, patient.as_str()).await?;
        let on = before.and_then(|hold| hold.on_at(tx.now())).ok_or(Error::NotFound)?;
        call.if_match.check(on)?;
        hold_delete(&mut tx, patient).await?;
        let now = LegalHold { version: next(before), is_active: false, until: None };
        let _ = tell(&api, &mut tx, patient, now).await?;
        tx.commit().await?;
        Ok::<_, Error>(now.version)
    })
    .await?;
    Ok(Answer::new(changed(patient, "Lifted")).version(version))
}

fn next(before: Option<LegalHold>) -> i64 {
    before.map_or(0, |hold| hold.version) + 1
}

fn changed(patient: &PatientId, status: &str) -> HoldChanged {
    HoldChanged { patient_id: patient.clone(), status: status.to_owned() }
}

/// Refuses a patient who never was, or of whom the caller may not know.
async fn check_patient(tx: &mut Tx, caller: &Caller, patient: &PatientId) -> Result<(), Error> {
    let reaches = access::reaches(tx, caller, patient).await?;
    if reaches && patient_was(tx, patient).await? { Ok(()) } else { Err(Error::NotFound) }
}

/// Keeps to it here, and tells the others.
async fn tell(api: &Api, tx: &mut Tx, patient: &PatientId, hold: LegalHold) -> Result<EventId, db::Error> {
    db::legal_hold_take(tx, patient.as_str(), hold).await?;
    let (id, occurred_at) = (EventId::generate(api.db.random()), tx.now());
    let what = What::HoldChanged(notice(patient, hold));
    relay::publish(tx, &api.db, &Event { id: id.clone(), occurred_at, what }).await?;
    Ok(id)
}

/// What the others are told of a hold.
pub(super) fn notice(patient: &PatientId, hold: LegalHold) -> HoldNotice {
    let LegalHold { version, is_active, until } = hold;
    HoldNotice { patient_id: patient.clone(), version, is_active, until }
}
