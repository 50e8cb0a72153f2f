//! `DELETE /api/patients/{patientId}`

use contracts::event::{Event, What};
use contracts::id::{EventId, PatientId};
use contracts::patients::{DeletePatient, PatientDeleted};
use db::{Db, Tx};
use http_kit::{Answer, Call, erasure, relay};

use super::Api;
use crate::error::Error;
use crate::store::care_team::care_team_forget;
use crate::store::consent::consent_forget;
use crate::store::patient::patient_delete;

/// Deletes a patient here, and tells the services that hold something of theirs.
pub async fn delete(api: Api, call: Call<DeletePatient>) -> Result<Answer<DeletePatient>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, id.as_str()).await?;
        let kept = api.treated(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        if !patient_delete(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        forget(&mut tx, &api.db, id, 1).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    erasure::finish(&api.db, id).await;
    let deleted = PatientDeleted { status: "Deleted".to_owned(), patient_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}

/// Does away with what stands beside a patient, whose own data is gone; counts all of it, and tells the services that hold something of theirs.
pub(crate) async fn forget(tx: &mut Tx, db: &Db, id: &PatientId, patients: u64) -> Result<(), db::Error> {
    let shredded = [
        ("patient", patients),
        ("care-team", care_team_forget(tx, id).await?),
        ("consents", consent_forget(tx, id).await?),
    ];
    db::erasure_shredded(tx, db, id.as_str(), &shredded).await?;
    let (id, patient_id) = (EventId::generate(db.random()), id.clone());
    let event = Event { id, occurred_at: tx.now(), what: What::PatientErased { patient_id } };
    relay::publish(tx, db, &event).await
}
