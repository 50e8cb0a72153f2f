//! Referrals. Seen as appointments are: by a patient their own, by a clinician what is from them or to them and those of whom they treat. They make
//! nobody treat: an appointment does, once it is booked.

pub mod accept;
pub mod create;
pub mod decline;
pub mod read;
pub mod withdraw;

use chrono::NaiveDate;
use contracts::consents::DataClass;
use contracts::id::{PatientId, ProviderId, ReferralId};
use contracts::permission::Permission;
use contracts::referrals::ReferralSaved;
use contracts::trail;
use db::Tx;
use http_kit::{Caller, Reach, View, access};

use super::{Api, is_with};
use crate::domain::referral::{Entry, Referral};
use crate::error::Error;
use crate::store::referral::{Kept, Sealed, referral_find, referral_update};

/// How much of a referral a caller is shown: not why, if they are not shown why patients come.
fn sees(caller: &Caller, referral: &Referral) -> View {
    caller.view(Permission::AppointmentsReason, &referral.patient)
}

/// Refuses patients: the clinic refers, and answers.
fn check_is_clinic(caller: &Caller) -> Result<(), Error> {
    match caller.reach() {
        Reach::Everyone => Ok(()),
        _ => Err(Error::Forbidden("The clinic refers, and answers referrals.")),
    }
}

/// Refuses a clinician to whom it is not: they answer for themselves alone.
fn check_may_answer(caller: &Caller, referral: &Referral) -> Result<(), Error> {
    let is_theirs = referral.to.as_ref().is_some_and(|to| is_with(caller, to.as_str()));
    if !caller.is_carer() || is_theirs {
        return Ok(());
    }
    Err(Error::Forbidden("Only to whom the referral is, and the front desk, answers it."))
}

/// Refuses a clinician from whom it is not.
fn check_may_withdraw(caller: &Caller, referral: &Referral) -> Result<(), Error> {
    if !caller.is_carer() || is_with(caller, referral.from.as_str()) {
        return Ok(());
    }
    Err(Error::Forbidden("Only from whom the referral is, and the front desk, withdraws it."))
}

impl Api {
    /// The date at the clinic.
    pub(super) fn today(&self) -> NaiveDate {
        self.now().with_timezone(&self.zone).date_naive()
    }

    /// The referral, if there is one and the caller may know of it. Whether there is none, or one of somebody else's, the database is asked the same.
    pub(super) async fn visible_referral(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: &ReferralId,
    ) -> Result<Kept, Error> {
        let sealed = referral_find(tx, id).await?;
        if let Some(sealed) = &sealed {
            trail::concerns(sealed.patient().as_str());
        }
        let patient = sealed.as_ref().map_or_else(|| PatientId::trusted(String::new()), Sealed::patient);
        let shows = access::shows(tx, &self.db, caller, DataClass::Appointments, &patient).await?;
        let own = caller.provider_id.as_ref().filter(|_| caller.is_carer());
        match sealed.filter(|sealed| shows || own.is_some_and(|own| sealed.is_of(own))) {
            Some(sealed) => sealed.open(&self.db).await?.ok_or(Error::NotFound),
            None => Err(Error::NotFound),
        }
    }

    async fn save_referral(
        &self,
        tx: &mut Tx,
        (before, after): (&Kept, &Referral),
        (by, reason): (&str, Option<String>),
    ) -> Result<(), Error> {
        let entry = Entry { by: by.to_owned(), status: after.status, reason };
        referral_update(tx, &self.db, (before, after), &entry).await
    }

    /// Whether there is such a provider.
    async fn has_provider(&self, id: &ProviderId) -> Result<bool, Error> {
        Ok(self.peers.schedule(id).await?.is_some())
    }
}

fn saved(kept: &Kept, after: &Referral) -> ReferralSaved {
    ReferralSaved { referral_id: kept.id.clone(), patient_id: after.patient.clone(), status: after.status }
}
