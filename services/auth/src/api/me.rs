//! `GET /api/auth/me` and `PUT /api/auth/me/password`

use contracts::auth::{ChangePassword, Identity, Me, PasswordChanged};
use contracts::field::BadField;
use contracts::id::{PatientId, ProviderId, UserId};
use contracts::problem::Faults;
use http_kit::{Answer, Call};

use super::hold::hold;
use super::{Api, bounded};
use crate::domain::policy;
use crate::domain::user::Account;
use crate::error::Error;
use crate::store::account::{account_find, account_update};
use crate::store::revocation::revocation_insert;
use crate::store::session::sessions_end;

/// Who is signed in. Their token says it: it would be revoked if it were no longer so.
pub async fn me(_: Api, call: Call<Me>) -> Result<Answer<Me>, Error> {
    let caller = &call.caller;
    Ok(Answer::new(Identity {
        user_id: caller.user.clone(),
        username: caller.username.clone(),
        roles: caller.role_names(),
        permissions: caller.permissions.iter().map(|permission| permission.to_string()).collect(),
        patient_id: caller.patient_id.as_ref().map(PatientId::to_string),
        provider_id: caller.provider_id.as_ref().map(ProviderId::to_string),
    }))
}

/// Changes one's own password. A try at the present one counts like a login: a token that was stolen must not help to guess it.
pub async fn change_password(api: Api, call: Call<ChangePassword>) -> Result<Answer<ChangePassword>, Error> {
    // A service has no password: its `service:…` is no user's id.
    let id = UserId::parse(&call.caller.user).map_err(|_| Error::NotFound)?;
    let kept = account_find(&mut api.db.read().await?, &api.db, &id).await?.ok_or(Error::NotFound)?;
    call.if_match.check(kept.version)?;
    let (current, new) = (&call.body.current_password, &call.body.new_password);
    let username = kept.account.user.username.as_str();
    let mut faults = Faults::new();
    bounded("currentPassword", current, policy::CHARS_MAX, &mut faults);
    let _ = faults.take("newPassword", policy::check(api.policy, new, username));
    faults.into_result()?;

    let wrong = || Error::BadField("currentPassword", BadField::new("is wrong"));
    let admitted = api.guard.admit(username, call.client_address.as_deref()).await?;
    let present = kept.account.password.clone();
    let is_right = api.hasher.verify(current, Some(present.clone())).await?;
    let admitted = admitted.filter(|_| is_right).ok_or_else(wrong)?;
    let password = api.hasher.hash(new).await?;

    let (version, ended) = db::retrying(&api.db, async |mut tx| {
        let kept = account_find(&mut tx, &api.db, &id).await?.ok_or(Error::NotFound)?;
        call.if_match.check(kept.version)?;
        if kept.account.password != present {
            return Err(wrong());
        }
        api.guard.settle(&mut tx, &admitted).await?;
        let account = Account { password: password.clone(), ..kept.account };
        if !account_update(&mut tx, &api.db, &id, kept.version, &account).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        hold(&mut tx, &call.caller).await?;
        let ended = sessions_end(&mut tx, &id, call.caller.session.as_deref()).await?;
        revocation_insert(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok::<_, Error>((kept.version + 1, ended))
    })
    .await?;
    api.announce(&ended);
    Ok(Answer::new(PasswordChanged { status: "Password changed".to_owned() }).version(version))
}
