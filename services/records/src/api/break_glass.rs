//! `POST /api/records/break-glass`

use chrono::{DateTime, Utc};
use contracts::break_glass::GlassBroken;
use contracts::event::{Event, GlassNotice, What};
use contracts::id::{EventId, GrantId, PatientId, ProviderId, UserId};
use contracts::records::BreakGlass;
use contracts::trail;
use db::Tx;
use http_kit::{Answer, Call, Caller, relay};

use super::Api;
use crate::domain::break_glass::{Breaking, Broken, Kept, instant};
use crate::error::Error;
use crate::store::break_glass::break_glass_insert;

/// So many who treat a patient are told at most.
const TOLD_MAX: u32 = 20;

/// Opens a patient's records to the caller for a while. Who has them open already is given the same grant again, and no more time.
///
/// Whoever types a wrong id is told so: to see no records, and believe that there are none, would be worse than what an id gives away to
/// somebody who is written down and reviewed.
pub async fn break_glass(api: Api, call: Call<BreakGlass>) -> Result<Answer<BreakGlass>, Error> {
    let asked = Breaking::parse(&call.body)?;
    trail::because(&asked.reason);
    api.check_is_patient(&asked.patient).await?;
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, asked.patient.as_str()).await?;
        if db::erasure_is_requested(&mut tx, asked.patient.as_str()).await? {
            return Err(Error::UnknownPatient);
        }
        let grant = match db::glass_of(&mut tx, &call.caller.user, asked.patient.as_str()).await? {
            Some((id, until)) => (GrantId::trusted(id), until),
            None => granted(&api, &mut tx, &call.caller, &asked).await?,
        };
        let answer = Answer::new(answered(asked.patient.clone(), grant));
        call.receipt.commit(tx, &answer).await?;
        Ok(answer)
    })
    .await
}

fn answered(patient_id: PatientId, (grant_id, until): (GrantId, DateTime<Utc>)) -> GlassBroken {
    GlassBroken { grant_id, patient_id, until: instant(until), status: "Granted".to_owned() }
}

/// A new grant, kept for the review, and told to who treats the patient and to who watches over privacy.
async fn granted(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    asked: &Breaking,
) -> Result<(GrantId, DateTime<Utc>), Error> {
    let (id, until) = (GrantId::generate(api.db.random()), tx.now() + api.glass_holds);
    let patient = asked.patient.as_str();
    db::glass_open(tx, id.as_str(), &caller.user, patient, until).await?;
    let kept = Kept {
        id: id.clone(),
        broken_at: tx.now(),
        user: caller.user.clone(),
        patient: asked.patient.clone(),
        until,
        reviewed_at: None,
        broken: Broken { username: caller.username.clone(), reason: asked.reason.clone(), review: None },
    };
    break_glass_insert(tx, &api.db, &kept).await?;
    let provider_ids = db::carers_of(tx, patient, TOLD_MAX).await?.into_iter().map(ProviderId::trusted);
    let notice = GlassNotice {
        grant_id: id.clone(),
        patient_id: asked.patient.clone(),
        user_id: UserId::trusted(caller.user.clone()),
        until,
        provider_ids: provider_ids.filter(|provider| Some(provider) != caller.provider_id.as_ref()).collect(),
    };
    let event = Event {
        id: EventId::generate(api.db.random()),
        occurred_at: tx.now(),
        what: What::GlassBroken(notice),
    };
    relay::publish(tx, &api.db, &event).await?;
    Ok((id, until))
}
