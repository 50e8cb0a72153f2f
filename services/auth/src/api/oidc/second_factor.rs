//! `POST /api/auth/oidc/{identityProviderId}/second-factor`

use contracts::auth::FinishOidcWithCode;
use contracts::trail;
use http_kit::{Answer, Call};

use super::enter::{Counted, Entered, Visit, enter};
use super::{FLOW_CHARS_MAX, check, provider, refused};
use crate::api::Api;
use crate::api::second_factor::{self, Proof};
use crate::domain::address;
use crate::domain::flow::{Flow, Proven};
use crate::domain::second_factor::CODE_CHARS_MAX;
use crate::domain::session::Opening;
use crate::error::Error;
use crate::store::account::account_find;
use crate::store::outside_flow::outside_flow_find;
use crate::store::outside_identity::outside_identity_find;

/// Goes on with a login whose provider asks for no second factor that is believed here. A code is counted as it is behind a password: at the
/// account, before it is looked at. The flow goes on until a code is right, or its time is up.
pub async fn second_factor(
    api: Api,
    call: Call<FinishOidcWithCode>,
) -> Result<Answer<FinishOidcWithCode>, Error> {
    let (name,) = &call.path;
    let (provider, body) = (provider(&api, name.as_str())?, &call.body);
    check(&[("flow", &body.flow, FLOW_CHARS_MAX), ("code", &body.code, CODE_CHARS_MAX)])?;
    let flow = Flow::presented(&body.flow);
    let Some((proven, username)) = proven(&api, &flow, provider.name()).await? else {
        // Counted, as a login with a name that nobody has is.
        let _ = api.guard.admit_address(call.client_address.as_deref()).await?;
        return Err(refused(provider.name(), "there is no such flow that waits for a code"));
    };
    trail::calls_themselves(&username);
    let admitted = api.guard.admit(&username, call.client_address.as_deref()).await?;
    let Some(admitted) = admitted else {
        return Err(refused(provider.name(), "too many wrong codes: the account is locked for a while"));
    };
    let address = call.client_address.as_deref().and_then(address::client);
    let opening = Opening::new(address, call.user_agent.as_deref());
    let visit = Visit {
        provider: provider.name(),
        identity: &proven.identity,
        code: Some(&body.code),
        opening: &opening,
    };
    match enter(&api, &visit, Counted::Account(&admitted), Some(&flow)).await? {
        Entered::LoggedIn(answer) => Ok(Answer::new(*answer).no_store()),
        Entered::CodeMissing(account) | Entered::CodeWrong(account) => {
            second_factor::count(&api, &admitted, &account, Proof::Wrong).await?;
            Err(refused(provider.name(), "the code is wrong, or was used"))
        }
    }
}

/// Who waits, and what they are called.
async fn proven(api: &Api, flow: &Flow, provider: &str) -> Result<Option<(Proven, String)>, Error> {
    let mut tx = api.db.read().await?;
    let proven: Option<Proven> = outside_flow_find(&mut tx, &api.db, flow, true).await?;
    let Some(proven) = proven.filter(|proven| proven.provider == provider) else { return Ok(None) };
    let Some(account) = outside_identity_find(&mut tx, &api.db, &proven.identity).await? else {
        return Ok(None);
    };
    let kept = account_find(&mut tx, &api.db, &account).await?;
    Ok(kept.map(|kept| (proven, kept.account.user.username.to_string())))
}
