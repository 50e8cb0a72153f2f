//! `GET` and `POST /api/patients/{patientId}/consents`, `DELETE` of one, and `GET /internal/consents/{patientId}` for the services that keep to them.

use contracts::consents::{CONSENTS_MAX, ConsentChanged, DataClass};
use contracts::event::{Event, What};
use contracts::id::{ConsentId, EventId, PatientId};
use contracts::page::Page;
use contracts::patients::{DenialsOfPatient, ListConsents, RecordConsent, WithdrawConsent};
use db::Tx;
use http_kit::{Answer, Call, consents, relay};

use super::Api;
use crate::domain::consent::{Consent, Kept};
use crate::error::Error;
use crate::store::consent::{consent_delete, consent_denials, consent_insert, consent_list, consent_purge};

/// A consent is not changed: it is withdrawn, and another recorded.
const VERSION: i64 = 1;

/// What a patient does not share, and with whom, but for what restricts the caller.
pub async fn list(api: Api, call: Call<ListConsents>) -> Result<Answer<ListConsents>, Error> {
    let (patient,) = &call.path;
    let mut tx = api.db.read().await?;
    api.visible(&mut tx, &call.caller, patient).await?;
    let consents = consent_list(&mut tx, &api.db, patient).await?;
    let shown = consents.iter().filter(|consent| consent.is_shown(&call.caller, patient));
    Ok(Answer::new(Page { items: shown.map(Kept::view).collect(), next_cursor: None }))
}

/// Records that a patient does not share something: they themselves, or somebody for them.
pub async fn record(api: Api, call: Call<RecordConsent>) -> Result<Answer<RecordConsent>, Error> {
    let (patient,) = &call.path;
    let id = ConsentId::generate(api.db.random());
    let answer = Answer::new(changed(&id, patient, "Recorded")).version(VERSION);
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        api.treated(&mut tx, &call.caller, patient).await?;
        let consent = Consent::parse(&call.body, api.today())?;
        if consent_list(&mut tx, &api.db, patient).await?.len() >= CONSENTS_MAX as usize {
            return Err(Error::TooManyConsents);
        }
        let (recorded_at, ends_at) = (tx.now(), consent.ends_at(api.time_zone));
        let kept = Kept { id: id.clone(), recorded_at, ends_at, consent };
        consent_insert(&mut tx, &api.db, patient, &kept).await?;
        api.tell_consents(&mut tx, patient).await?;
        Ok(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// Withdraws one. What restricts the caller is not theirs to withdraw: it is not there for them.
pub async fn withdraw(api: Api, call: Call<WithdrawConsent>) -> Result<Answer<WithdrawConsent>, Error> {
    let (patient, id) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        api.treated(&mut tx, &call.caller, patient).await?;
        let consents = consent_list(&mut tx, &api.db, patient).await?;
        let is_it = |consent: &&Kept| consent.id == *id && consent.is_shown(&call.caller, patient);
        let consent = consents.iter().find(is_it).ok_or(Error::NotFound)?;
        call.if_match.check(VERSION)?;
        consent_delete(&mut tx, &consent.id).await?;
        api.tell_consents(&mut tx, patient).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(changed(id, patient, "Withdrawn")))
}

/// All that a patient denies anybody. Of a patient who is not that is nothing.
pub async fn denials(api: Api, call: Call<DenialsOfPatient>) -> Result<Answer<DenialsOfPatient>, Error> {
    let (patient,) = &call.path;
    let mut tx = api.db.read().await?;
    Ok(Answer::new(consent_denials(&mut tx, &api.db, patient).await?))
}

fn changed(id: &ConsentId, patient: &PatientId, status: &str) -> ConsentChanged {
    ConsentChanged { consent_id: id.clone(), patient_id: patient.clone(), status: status.to_owned() }
}

impl Api {
    /// Keeps to what a patient's consents say now, here at once and of all that they deny, since exports are asked for here; and tells the others that it
    /// has changed, under [`db::erasure_lock`].
    async fn tell_consents(&self, tx: &mut Tx, patient: &PatientId) -> Result<(), db::Error> {
        consent_purge(tx, patient).await?;
        let mut denials = consent_denials(tx, &self.db, patient).await?;
        denials.version += 1;
        consents::keep(tx, &self.db, &denials, &DataClass::ALL).await?;
        let (id, occurred_at) = (EventId::generate(self.db.random()), tx.now());
        let what = What::ConsentChanged { patient_id: patient.clone() };
        relay::publish(tx, &self.db, &Event { id, occurred_at, what }).await
    }
}
