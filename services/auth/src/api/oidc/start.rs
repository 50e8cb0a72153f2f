//! `POST /api/auth/oidc/{identityProviderId}/start`

use contracts::auth::{OidcStarted, StartOidc};
use contracts::field::BadField;
use http_kit::{Answer, Call};

use super::provider;
use crate::api::Api;
use crate::domain::flow::{Begun, Flow, GOOD_FOR, OPEN_MAX};
use crate::error::Error;
use crate::store::outside_flow::{FLOWS, outside_flow_insert, outside_flows_open};

/// Begins a login. It is counted as an attempt from the client's address until it is finished: a stranger opens no more flows than they may
/// try passwords.
pub async fn start(api: Api, call: Call<StartOidc>) -> Result<Answer<StartOidc>, Error> {
    let (name,) = &call.path;
    let provider = provider(&api, name.as_str())?;
    let registered = "must be one of those that the stack's resource names";
    let redirect_uri = provider
        .redirect_uri(call.body.redirect_uri.as_deref())
        .ok_or_else(|| Error::BadField("redirectUri", BadField::new(registered)))?;
    let admitted = api.guard.admit_address(call.client_address.as_deref()).await?;
    let random = api.db.random();
    let (begun, flow) = (Begun::generate(random, provider.name(), redirect_uri), Flow::generate(random));
    let url = match provider.authorization_url(&begun).await {
        Ok(url) => url,
        Err(fault) => {
            // Nobody is kept from logging in by password since the provider is down.
            api.guard.give_back(&admitted, 1).await?;
            return Err(fault.into());
        }
    };
    db::retrying(&api.db, async |mut tx| {
        tx.lock(&[FLOWS]).await?;
        if outside_flows_open(&mut tx).await? >= OPEN_MAX {
            return Err(Error::TooManyFlows);
        }
        let until = tx.now() + GOOD_FOR;
        outside_flow_insert(&mut tx, &api.db, &flow, false, until, &begun).await?;
        // Nobody has said yet who they are, and nothing of anybody is shown.
        Ok(tx.commit_unaudited().await?)
    })
    .await?;
    let started = OidcStarted {
        authorization_url: url.into(),
        flow: flow.as_str().to_owned(),
        expires_in: u32::try_from(GOOD_FOR.num_seconds()).unwrap_or_default(),
    };
    Ok(Answer::new(started).no_store())
}
