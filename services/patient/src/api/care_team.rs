//! `GET /api/patients/{patientId}/care-team`, and PUT and DELETE of one who is in it.

use chrono::NaiveDate;
use contracts::care_team::{CareTeamChanged, TEAM_MAX};
use contracts::event::{Event, What};
use contracts::id::{EventId, PatientId, ProviderId};
use contracts::page::Page;
use contracts::patients::{JoinCareTeam, LeaveCareTeam, ListCareTeam};
use db::Tx;
use http_kit::{Answer, Call, access, relay};

use super::Api;
use crate::domain::care_team::{Place, last_day};
use crate::error::Error;
use crate::store::care_team::{care_team_list, care_team_put};

/// Who treats a patient, beside those whom they have appointments with.
pub async fn list(api: Api, call: Call<ListCareTeam>) -> Result<Answer<ListCareTeam>, Error> {
    let (patient,) = &call.path;
    let mut tx = api.db.read().await?;
    api.visible(&mut tx, &call.caller, patient).await?;
    let team = care_team_list(&mut tx, patient, api.today()).await?;
    Ok(Answer::new(Page { items: team.iter().map(Place::view).collect(), next_cursor: None }))
}

/// Puts somebody in it: a clinician whom they treat themselves.
pub async fn join(api: Api, call: Call<JoinCareTeam>) -> Result<Answer<JoinCareTeam>, Error> {
    let (patient, provider) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        api.treated(&mut tx, &call.caller, patient).await?;
        let last_day = last_day(&call.body, api.today())?;
        let team = care_team_list(&mut tx, patient, api.today()).await?;
        let is_in = team.iter().any(|place| place.provider == *provider);
        if !is_in && team.len() >= TEAM_MAX as usize {
            return Err(Error::TeamIsFull);
        }
        api.seat(&mut tx, patient, provider, true, last_day).await?;
        Ok(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(changed(patient, provider, "Joined")))
}

/// Takes somebody out of it. Who is not in it is not in it then either.
pub async fn leave(api: Api, call: Call<LeaveCareTeam>) -> Result<Answer<LeaveCareTeam>, Error> {
    let (patient, provider) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, patient.as_str()).await?;
        api.treated(&mut tx, &call.caller, patient).await?;
        api.seat(&mut tx, patient, provider, false, None).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(changed(patient, provider, "Left")))
}

fn changed(patient: &PatientId, provider: &ProviderId, status: &str) -> CareTeamChanged {
    CareTeamChanged { patient_id: patient.clone(), provider_id: provider.clone(), status: status.to_owned() }
}

impl Api {
    /// Keeps somebody's place in a team, here and for the others, under [`db::erasure_lock`].
    pub(super) async fn seat(
        &self,
        tx: &mut Tx,
        patient: &PatientId,
        provider: &ProviderId,
        is_in: bool,
        last_day: Option<NaiveDate>,
    ) -> Result<(), db::Error> {
        let place = care_team_put(tx, patient, provider, is_in, last_day).await?;
        let notice = place.notice(self.time_zone);
        access::take_care(tx, &notice).await?;
        let (id, occurred_at) = (EventId::generate(self.db.random()), tx.now());
        let what = What::CareTold { care: vec![notice] };
        relay::publish(tx, &self.db, &Event { id, occurred_at, what }).await
    }
}
