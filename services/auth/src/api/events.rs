//! `POST /internal/events`

use contracts::auth::DeliverToAuth;
use contracts::event::{Accepted, HoldNotice, What};
use contracts::id::UserId;
use db::Tx;
use http_kit::{Answer, Call, erasure, relay};

use super::Api;
use crate::domain::user::{Account, User};
use crate::error::Error;
use crate::store::account::{account_find, account_update, accounts_of_patient, accounts_of_provider};
use crate::store::revocation::{Ended, revocation_insert};
use crate::store::session::sessions_end;

/// Takes an event: what accounts were tied to may be gone.
pub async fn deliver(api: Api, call: Call<DeliverToAuth>) -> Result<Answer<DeliverToAuth>, Error> {
    let event = &call.body;
    relay::check_teller(&call.caller, event)?;
    let (first_time, ended) = db::retrying(&api.db, async |mut tx| {
        if let Some(patient) = event.what.erased() {
            db::erasure_lock(&mut tx, patient.as_str()).await?;
        }
        if !db::inbox_accept(&mut tx, event.id.as_str()).await? {
            return Ok::<_, Error>((false, Vec::new()));
        }
        let ended = match &event.what {
            // A hold is on what is held of a patient; that an account is theirs is for signing in.
            What::PatientErased { patient_id }
            | What::PatientErasedUnderHold(HoldNotice { patient_id, .. }) => {
                let accounts = accounts_of_patient(&mut tx, patient_id).await?;
                let untied = [("account-ties", accounts.len() as u64)];
                db::erasure_request(&mut tx, patient_id.as_str()).await?;
                db::erasure_shredded(&mut tx, &api.db, patient_id.as_str(), &untied).await?;
                untie(&mut tx, &api, accounts, User::without_patient).await?
            }
            What::ProviderRemoved { provider_id } => {
                let accounts = accounts_of_provider(&mut tx, provider_id).await?;
                untie(&mut tx, &api, accounts, User::without_provider).await?
            }
            // This service subscribes to nothing else.
            _ => Vec::new(),
        };
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok((true, ended))
    })
    .await?;
    api.announce(&ended);
    if let Some(patient) = event.what.erased() {
        erasure::finish(&api.db, patient).await;
    }
    Ok(Answer::new(Accepted { first_time }))
}

async fn untie(
    tx: &mut Tx,
    api: &Api,
    accounts: Vec<UserId>,
    change: fn(User) -> User,
) -> Result<Vec<Ended>, Error> {
    let mut ended = Vec::new();
    for id in accounts {
        let Some(kept) = account_find(tx, &api.db, &id).await? else { continue };
        let before = kept.account.user.clone();
        let account = Account { user: change(kept.account.user), ..kept.account };
        api.tell_user(tx, (&id, kept.version + 1), (&before, Some(&account.user))).await?;
        if !account_update(tx, &api.db, &id, kept.version, &account).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        ended.extend(sessions_end(tx, &id, None).await?);
    }
    Ok(ended)
}
