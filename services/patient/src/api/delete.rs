//! `DELETE /api/patients/{patientId}`

use contracts::event::{Event, What};
use contracts::id::{EventId, PatientId};
use contracts::patients::{DeletePatient, PatientDeleted};
use db::{Db, LegalHold, Tx};
use http_kit::{Answer, Call, erasure, relay};

use super::Api;
use super::hold::notice;
use crate::error::Error;
use crate::store::care_team::care_team_forget;
use crate::store::consent::consent_forget;
use crate::store::erase::patient_hold;
use crate::store::patient::patient_delete;

/// Deletes a patient here, and tells the services that hold something of theirs.
pub async fn delete(api: Api, call: Call<DeletePatient>) -> Result<Answer<DeletePatient>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, id.as_str()).await?;
        let kept = api.treated(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        let hold = db::legal_hold_find(&mut tx, id.as_str()).await?;
        let hold = hold.filter(|hold| hold.on_at(tx.now()).is_some());
        if let Some(hold) = hold {
            patient_hold(&mut tx, &api.db, &kept, hold.version).await?;
        }
        if !patient_delete(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        forget(&mut tx, &api.db, id, 1, hold).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    erasure::finish(&api.db, id).await;
    let deleted = PatientDeleted { status: "Deleted".to_owned(), patient_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}

/// Does away with what stands beside a patient, whose own data is gone; counts all of it, but what a hold has kept aside; and tells the
/// services that hold something of theirs.
pub(crate) async fn forget(
    tx: &mut Tx,
    db: &Db,
    id: &PatientId,
    patients: u64,
    hold: Option<LegalHold>,
) -> Result<(), db::Error> {
    let (team, consents) = (care_team_forget(tx, id).await?, consent_forget(tx, id).await?);
    let shredded = match hold {
        Some(_) => [("patient", 0), ("care-team", 0), ("consents", 0)],
        None => [("patient", patients), ("care-team", team), ("consents", consents)],
    };
    db::erasure_shredded(tx, db, id.as_str(), &shredded).await?;
    let event = Event {
        id: EventId::generate(db.random()),
        occurred_at: tx.now(),
        what: hold.map_or_else(
            || What::PatientErased { patient_id: id.clone() },
            |hold| What::PatientErasedUnderHold(notice(id, hold)),
        ),
    };
    relay::publish(tx, db, &event).await
}
