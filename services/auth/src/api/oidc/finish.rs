//! `POST /api/auth/oidc/{identityProviderId}/finish`

use contracts::auth::FinishOidc;
use contracts::trail;
use http_kit::{Answer, Call};

use super::enter::{Counted, Entered, Visit, enter};
use super::{FLOW_CHARS_MAX, check, provider, refused};
use crate::api::Api;
use crate::domain::address;
use crate::domain::flow::{Begun, Flow, GOOD_FOR, Proven};
use crate::domain::session::Opening;
use crate::error::Error;
use crate::guard::AdmittedAddress;
use crate::oidc::Provider;
use crate::oidc::provider::Failed;
use crate::store::outside_flow::{outside_flow_insert, outside_flow_take};

const CODE_CHARS_MAX: usize = 4_096;
const ISSUER_CHARS_MAX: usize = 2_048;

/// Finishes a login. The flow is taken before anything else is looked at, and in a transaction of its own: it is good for one try, and of two
/// who bring it at once one has it.
pub async fn finish(api: Api, call: Call<FinishOidc>) -> Result<Answer<FinishOidc>, Error> {
    let (name,) = &call.path;
    let (provider, body) = (provider(&api, name.as_str())?, &call.body);
    check(&[
        ("flow", &body.flow, FLOW_CHARS_MAX),
        ("code", &body.code, CODE_CHARS_MAX),
        ("state", &body.state, FLOW_CHARS_MAX),
        ("iss", body.iss.as_deref().unwrap_or("-"), ISSUER_CHARS_MAX),
    ])?;
    let admitted = api.guard.admit_address(call.client_address.as_deref()).await?;
    let flow = Flow::presented(&body.flow);
    let begun = take(&api, provider, &flow).await?;
    if !begun.is_state(&body.state) {
        return Err(refused(provider.name(), "the state is not that of this login"));
    }
    let redeemed = provider.redeem(&begun, (&body.code, body.iss.as_deref()), api.db.clock().now()).await;
    let identity = match redeemed {
        Ok(identity) => identity,
        Err(Failed::Refused(refusal)) => return Err(refused(provider.name(), refusal)),
        Err(Failed::Fault(fault)) => {
            api.guard.give_back(&admitted, 2).await?;
            return Err(fault.into());
        }
    };
    trail::calls_themselves(&format!("{}.{}", provider.name(), identity.name.as_deref().unwrap_or_default()));
    let address = call.client_address.as_deref().and_then(address::client);
    let opening = Opening::new(address, call.user_agent.as_deref());
    let visit = Visit { provider: provider.name(), identity: &identity, code: None, opening: &opening };
    match enter(&api, &visit, Counted::Address(&admitted), None).await? {
        Entered::LoggedIn(answer) => Ok(Answer::new(*answer).no_store()),
        Entered::CodeMissing(_) | Entered::CodeWrong(_) => {
            let proven = Proven { provider: provider.name().to_owned(), identity };
            wait_for_code(&api, (&flow, &proven), &admitted).await?;
            Err(Error::OidcSecondFactorRequired)
        }
    }
}

/// What the flow was begun with. One that was begun at another provider is used up too: whoever mixes them up is no friend.
async fn take(api: &Api, provider: &Provider, flow: &Flow) -> Result<Begun, Error> {
    let begun: Option<Begun> = db::retrying(&api.db, async |mut tx| {
        let begun = outside_flow_take(&mut tx, &api.db, flow, false).await?;
        // What comes of it is written in the audit when it is known.
        tx.commit_unaudited().await?;
        Ok::<_, Error>(begun)
    })
    .await?;
    match begun {
        None => Err(refused(provider.name(), "there is no such flow, or it was used or is too old")),
        Some(begun) if begun.provider != provider.name() => {
            Err(refused(provider.name(), "the flow was begun at another identity provider"))
        }
        Some(begun) => Ok(begun),
    }
}

/// The provider has said who it is, and that is not asked again while a code is looked for. The address has its tries back, as behind a
/// right password.
async fn wait_for_code(
    api: &Api,
    (flow, proven): (&Flow, &Proven),
    admitted: &AdmittedAddress,
) -> Result<(), Error> {
    db::retrying(&api.db, async |mut tx| {
        api.guard.settle_address(&mut tx, admitted, 2).await?;
        let until = tx.now() + GOOD_FOR;
        outside_flow_insert(&mut tx, &api.db, flow, true, until, proven).await?;
        Ok(tx.commit_unaudited().await?)
    })
    .await
}
