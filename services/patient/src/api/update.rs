//! `PUT /api/patients/{patientId}`

use contracts::patients::{PatientUpdated, UpdatePatient};
use contracts::permission::Permission;
use http_kit::{Answer, Call, View, json};

use super::{Api, sees};
use crate::domain::patient::Patient;
use crate::error::Error;
use crate::store::patient::patient_update;

/// The member that not everybody is shown.
const HISTORY: &str = "medicalHistory";

/// Changes what the body names (RFC 7396).
pub async fn update(api: Api, call: Call<UpdatePatient>) -> Result<Answer<UpdatePatient>, Error> {
    let (id,) = &call.path;
    sees(&call.caller, id).may_change(&call.body, HISTORY, Permission::PatientsClinical)?;
    let today = api.today();
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.treated(&mut tx, &call.caller, id).await?;
        let view = api.sees(&mut tx, &call.caller, id).await?;
        view.may_change(&call.body, HISTORY, Permission::PatientsClinical)?;
        call.if_match.check(kept.version)?;
        let current = kept.patient.view(id, View::Whole);
        let changed = Patient::change(&current, &json::merge(&call.body, &current)?, today)?;
        // Another change came between: merge into what stands now.
        if !patient_update(&mut tx, &api.db, id, kept.version, &changed).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let updated = PatientUpdated { patient_id: id.clone(), status: "Updated".to_owned() };
    Ok(Answer::new(updated).version(version))
}
