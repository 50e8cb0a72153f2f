//! `POST`, `GET /api/providers/{providerId}/availability/webhooks`, and `DELETE` of one.

use contracts::appointments::{CreateWebhook, DeleteWebhook, ListWebhooks};
use contracts::id::{ProviderId, WebhookId};
use contracts::page::Page;
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::trail;
use contracts::webhooks::{WEBHOOKS_MAX, WebhookCreated, WebhookDeleted};
use http_kit::{Answer, Call, Caller};

use super::{Api, is_with};
use crate::domain::feed::time;
use crate::domain::webhook::Webhook;
use crate::error::Error;
use crate::store::appointment::provider_lock;
use crate::store::webhook::{webhook_delete, webhook_insert, webhook_list};

/// A webhook is not changed: it is deleted, and another made.
const VERSION: i64 = 1;

/// Refuses whoever may not say who is told: staff may, clinicians of themselves.
fn check_may(caller: &Caller, provider: &ProviderId) -> Result<(), Error> {
    if caller.is_staff() && (!caller.is_carer() || is_with(caller, provider.as_str())) {
        return Ok(());
    }
    Err(Error::Forbidden("Webhooks are kept by the front desk, and by whose availability they tell."))
}

/// Makes a webhook. Its secret is told in this answer and nowhere else.
pub async fn create(api: Api, call: Call<CreateWebhook>) -> Result<Answer<CreateWebhook>, Error> {
    let (provider,) = &call.path;
    check_may(&call.caller, provider)?;
    let webhook = wanted(&api, &call)?;
    if api.peers.schedule(provider).await?.is_none() {
        return Err(Error::NotFound);
    }
    let id = WebhookId::generate(api.db.random());
    trail::because(&reason(&id, provider));
    db::retrying(&api.db, async |mut tx| {
        tx.lock(&[&provider_lock(provider)]).await?;
        if webhook_list(&mut tx, &api.db, provider).await?.len() >= WEBHOOKS_MAX as usize {
            return Err(too_many().into());
        }
        webhook_insert(&mut tx, &api.db, (&id, provider), &webhook).await?;
        let created_at = time(tx.now());
        let created = WebhookCreated { webhook_id: id.clone(), secret: webhook.secret(), created_at };
        let path = format!("/api/providers/{provider}/availability/webhooks/{id}");
        let answer = Answer::new(created).located_at(path).version(VERSION).no_store();
        call.receipt.commit_once(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}

fn wanted(api: &Api, call: &Call<CreateWebhook>) -> Result<Webhook, Problem> {
    let Some(settings) = &api.webhooks else {
        let mut faults = Faults::new();
        faults.add("url", "cannot be told: spec.integrations.webhooks is not set");
        return Err(faults.into_problem());
    };
    Webhook::parse(&call.body, &settings.own_hosts, api.db.random(), &call.caller.user)
}

/// What the audit remembers beside who.
fn reason(id: &WebhookId, provider: &ProviderId) -> String {
    format!("webhook:{id} of provider {provider}")
}

fn too_many() -> Problem {
    Problem::new(ProblemCode::InvalidTransition)
        .detail(format!("There are {WEBHOOKS_MAX} webhooks of one provider at most. Delete one first."))
}

/// Lists a provider's webhooks and how each does, without their secrets.
pub async fn list(api: Api, call: Call<ListWebhooks>) -> Result<Answer<ListWebhooks>, Error> {
    let (provider,) = &call.path;
    check_may(&call.caller, provider)?;
    let mut tx = api.db.read().await?;
    let kept = webhook_list(&mut tx, &api.db, provider).await?;
    let items = kept.iter().map(|kept| kept.webhook.view(&kept.id, &kept.standing)).collect();
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Deletes a webhook: from now on it is told nothing, but for what is under way.
pub async fn delete(api: Api, call: Call<DeleteWebhook>) -> Result<Answer<DeleteWebhook>, Error> {
    let (provider, id) = &call.path;
    check_may(&call.caller, provider)?;
    db::retrying(&api.db, async |mut tx| {
        trail::because(&reason(id, provider));
        if !webhook_delete(&mut tx, provider, id).await? {
            return Err(Error::NotFound);
        }
        call.if_match.check(VERSION)?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(WebhookDeleted { webhook_id: id.clone(), status: "Deleted".to_owned() }))
}
