//! Whether a caller may see a patient, where who treats whom decides; and what the events tell of it, taken in.

use contracts::event::{CareNotice, GlassNotice, What};
use contracts::id::{PatientId, ProviderId};
use contracts::trail;
use db::{Care, Error, Tie, Tx};

use crate::{Caller, Carer};

/// Whether the caller may see this patient: everybody as far as they see at all, clinicians whom they treat, and whose glass they broke.
/// The audit is told if it is by that.
///
/// It asks the database the same, whether there is such a patient or not.
pub async fn reaches(tx: &mut Tx, caller: &Caller, patient: &PatientId) -> Result<bool, Error> {
    match caller.carer() {
        None => Ok(caller.reach().covers(patient)),
        Some(carer) => treats(tx, &carer, patient).await,
    }
}

/// Whether somebody who sees whom they treat may see this patient.
pub async fn treats(tx: &mut Tx, carer: &Carer, patient: &PatientId) -> Result<bool, Error> {
    let tie = db::tie(tx, carer.as_kept(), patient.as_str()).await?;
    if carer.own.as_ref() == Some(patient) {
        return Ok(true);
    }
    if let Some(Tie::Glass(grant)) = &tie {
        trail::because(&format!("break-glass {grant}"));
    }
    Ok(tie.is_some())
}

/// The patients of whom an event tells who may see them.
pub fn told_of(what: &What) -> Vec<&PatientId> {
    match what {
        What::CareTold { care } => care.iter().map(|care| &care.patient_id).collect(),
        What::GlassBroken(notice) | What::GlassShut(notice) => vec![&notice.patient_id],
        _ => Vec::new(),
    }
}

/// Takes in what an event tells of who may see whom, under the [`db::erasure_lock`] of [`told_of`].
pub async fn take_in(tx: &mut Tx, what: &What) -> Result<(), Error> {
    match what {
        What::CareTold { care } => {
            for notice in care {
                take_care(tx, notice).await?;
            }
            Ok(())
        }
        What::GlassBroken(GlassNotice { grant_id, user_id, patient_id, until, .. })
        | What::GlassShut(GlassNotice { grant_id, user_id, patient_id, until, .. }) => {
            db::glass_open(tx, grant_id.as_str(), user_id.as_str(), patient_id.as_str(), *until).await
        }
        _ => Ok(()),
    }
}

/// Takes in what one source of care says.
pub async fn take_care(tx: &mut Tx, notice: &CareNotice) -> Result<(), Error> {
    let CareNotice { source, version, patient_id, provider_id, until } = notice;
    let (patient, provider) = (patient_id.as_str(), provider_id.as_str());
    db::care_take(tx, &Care { source, version: *version, patient, provider, until: *until }).await
}

impl Carer {
    fn as_kept(&self) -> db::Carer<'_> {
        db::Carer { user: &self.user, provider: self.provider.as_ref().map(ProviderId::as_str) }
    }
}
