//! `GET` and `POST /api/notifications/unsubscribe/{tokenId}`: no more mails of a kind, for whoever has one of them (RFC 8058).
//!
//! What is posted is not read: mail programs post a form that says so, browsers an empty one. Doing it again changes nothing, and answers the same.

use contracts::links::LinkToken;
use contracts::notifications::{Channel, NotificationType as Kind, Unsubscribe, UnsubscribePage};
use contracts::preferences::Topic;
use contracts::templates::Language;
use contracts::trail;
use http_kit::{Answer, Call};

use super::preferences::{locks, plan_anew};
use super::{Api, lock_patient};
use crate::domain::page;
use crate::domain::preference::opt_out_of;
use crate::domain::visit::Person;
use crate::error::Error;
use crate::links::Purpose;
use crate::store::preference::{known_address_add, preference_find, preference_put};
use crate::store::told::told_ahead;

/// So many of somebody's next appointments are planned anew.
const AHEAD_MAX: u32 = 200;

/// What a message says of who may end such.
struct Mail {
    person: Person,
    to: String,
    channel: Channel,
    kind: Kind,
    topic: Topic,
}

/// Asks, and changes nothing.
pub async fn page(api: Api, call: Call<UnsubscribePage>) -> Result<Answer<UnsubscribePage>, Error> {
    let mail = mail(&api, &call.path.0).await?;
    let mut tx = api.db.read().await?;
    let (_, kept) = preference_find(&mut tx, &api.db, &mail.person).await?.unwrap_or_default();
    let is_done = !kept.wishes(mail.channel, mail.kind);
    Ok(Answer::new(page::unsubscribe(kept.language(), mail.topic, is_done)).no_store())
}

/// Does it.
pub async fn take(api: Api, call: Call<Unsubscribe>) -> Result<Answer<Unsubscribe>, Error> {
    let mail = mail(&api, &call.path.0).await?;
    let is_news = db::retrying(&api.db, async |mut tx| {
        let Mail { person, to, channel, kind, topic } = &mail;
        lock_patient(&mut tx, person.patient()).await?;
        let (version, kept) = preference_find(&mut tx, &api.db, person).await?.unwrap_or_default();
        if !kept.wishes(*channel, *kind) {
            return Ok(false);
        }
        preference_put(&mut tx, &api.db, person, version, &kept.without(*channel, *topic)).await?;
        if let Some(patient) = person.patient() {
            known_address_add(&mut tx, &api.db, patient, to).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(true)
    })
    .await?;
    if is_news {
        plan_what_is_ahead(&api, &mail.person).await;
    }
    let language = language(&api, &mail.person).await?;
    Ok(Answer::new(page::unsubscribe(language, mail.topic, true)).no_store())
}

/// The mail that a link came with. That there is none, or none of this signature, is the same.
async fn mail(api: &Api, token: &LinkToken) -> Result<Mail, Error> {
    let found = api.opened(api.message_of(Purpose::Unsubscribe, token)?).await?;
    let content = found.draft.content;
    let (person, topic) = content.wisher.zip(opt_out_of(found.kind)).ok_or(Error::NotFound)?;
    if let Some(patient) = person.patient() {
        trail::concerns(patient.as_str());
    }
    Ok(Mail { person, to: content.to, channel: found.draft.channel, kind: found.kind, topic })
}

async fn language(api: &Api, person: &Person) -> Result<Language, Error> {
    let mut tx = api.db.read().await?;
    let kept = preference_find(&mut tx, &api.db, person).await?;
    Ok(kept.map(|(_, preference)| preference.language()).unwrap_or_default())
}

/// As far as it can be now: each is looked at once more before it is sent.
async fn plan_what_is_ahead(api: &Api, person: &Person) {
    let planned = async {
        let mut tx = api.db.read().await?;
        let visits = told_ahead(&mut tx, &api.db, person, AHEAD_MAX).await?;
        drop(tx);
        let locks = locks(person, &visits);
        plan_anew(api, person, &visits, &locks.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    if let Err(error) = planned.await {
        tracing::info!(%error, "what is ahead could not be planned anew");
    }
}
