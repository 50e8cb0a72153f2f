//! `POST /api/notifications/email`, `…/sms`, `…/push`
//!
//! The notification is there from the first commit on, so that the answer is always about a resource that exists: 201 `Sent` when it was
//! handed on (or, without a way out, kept in the capture box); 202 `Queued` when it was not yet; 201 `Failed` when it was refused for
//! good, which says no more against the request than a letter that comes back.

use std::time::Duration;

use contracts::endpoint::Endpoint;
use contracts::id::{NotificationId, PatientId};
use contracts::notifications::{
    Channel, NotificationSent, NotificationStatus, NotificationType, SendEmail, SendPush, SendSms,
};
use http_kit::{Answer, Call, Caller, Receipt, access};
use tokio::time::timeout;

use super::{Api, lock_patient};
use crate::domain::delivery::Verdict;
use crate::domain::notification::{Draft, addressee};
use crate::domain::preference::is_always_sent;
use crate::domain::visit::Person;
use crate::error::Error;
use crate::jobs::deliver::{is_kept_back, note};
use crate::store::claim::{Claim, Claimed};
use crate::store::device::{device_find, device_person};
use crate::store::notification::{Start, notification_insert, notification_mark};
use crate::store::preference::{known_at, preference_find};
use crate::store::suppression::suppression_of;

/// So long it is waited for where a patient is reached.
const REACHED_MAX: Duration = Duration::from_secs(1);

/// Sends mail.
pub async fn email(api: Api, call: Call<SendEmail>) -> Result<Answer<SendEmail>, Error> {
    send(api, (Draft::email(&call.body)?, call.body.kind), (&call.caller, call.receipt)).await
}

/// Sends a text message.
pub async fn sms(api: Api, call: Call<SendSms>) -> Result<Answer<SendSms>, Error> {
    send(api, (Draft::sms(&call.body)?, call.body.kind), (&call.caller, call.receipt)).await
}

/// Sends a push notification.
pub async fn push(api: Api, call: Call<SendPush>) -> Result<Answer<SendPush>, Error> {
    send(api, (Draft::push(&call.body)?, call.body.kind), (&call.caller, call.receipt)).await
}

async fn send<E>(
    api: Api,
    (mut draft, kind): (Draft, Option<NotificationType>),
    (caller, receipt): (&Caller, Receipt),
) -> Result<Answer<E>, Error>
where
    E: Endpoint<Reply = NotificationSent>,
{
    check_patient(&api, caller, draft.patient.as_ref()).await?;
    let kind = kind.unwrap_or_default();
    draft.content.critical |= is_always_sent(kind);
    check_wished(&api, &draft, kind).await?;
    check_address(&api, &draft).await?;
    draft.content.wisher = wisher(&api, &draft).await;
    let id = api.new_id();
    if !api.delivery.has_way(draft.channel) {
        let sent = answer(&id, NotificationStatus::Sent, 1);
        keep(&api, &id, (&draft, kind), &Start::Kept, &receipt, &sent).await?;
        return Ok(sent);
    }
    let claim = Claim::new(api.db.random());
    let queued = answer(&id, NotificationStatus::Queued, 1);
    let created_at =
        keep(&api, &id, (&draft, kind), &Start::Claimed(claim.clone()), &receipt, &queued).await?;
    let Draft { channel, content, .. } = draft;
    let claimed = Claimed {
        id,
        version: 1,
        created_at,
        since: created_at,
        channel,
        kind,
        content,
        unsure: None,
        attempt: 1,
        turn: 0,
        send_until: None,
        claim,
    };
    // A task of its own: a caller who hangs up must not leave the attempt without its note, and the mail be sent twice.
    let attempt = tokio::spawn(async move { attempt(&api, &claimed, &receipt).await });
    match attempt.await {
        Ok(Ok(Some(answer))) => Ok(answer),
        // The row stands, and the job looks after it: what was said first is still true.
        Ok(Ok(None)) => Ok(queued),
        Ok(Err(error)) => {
            tracing::warn!(%error, "an attempt could not be noted");
            Ok(queued)
        }
        Err(error) => {
            tracing::error!(%error, "an attempt ended early");
            Ok(queued)
        }
    }
}

/// Refuses a patient of whom the caller may not know: whom they do not treat, a clinician writes nothing of.
async fn check_patient(api: &Api, caller: &Caller, patient: Option<&PatientId>) -> Result<(), Error> {
    let Some(patient) = patient else { return Ok(()) };
    let mut tx = api.db.read().await?;
    if access::reaches(&mut tx, caller, patient).await? { Ok(()) } else { Err(Error::UnknownPatient) }
}

/// Refuses what the person does not wish. An address that several share, and that nobody is named with, is refused as soon as one of them does not; a
/// device as soon as whoever has it does not.
async fn check_wished(api: &Api, draft: &Draft, kind: NotificationType) -> Result<(), Error> {
    if draft.content.critical {
        return Ok(());
    }
    let mut tx = api.db.read().await?;
    let patients = match &draft.patient {
        Some(patient) => vec![patient.clone()],
        None => known_at(&mut tx, &api.db, &draft.content.to).await?,
    };
    let mut people: Vec<_> = patients.into_iter().map(Person::Patient).collect();
    if draft.channel == Channel::Push {
        people.extend(device_person(&mut tx, &api.db, &draft.content.to).await?);
    }
    for person in people {
        let preference = preference_find(&mut tx, &api.db, &person).await?;
        if preference.is_some_and(|(_, wishes)| !wishes.wishes(draft.channel, kind)) {
            return Err(Error::OptedOut);
        }
    }
    Ok(())
}

/// Who may end such mails by one click: the patient, if it is they who are written to. What goes to a relative or an insurer is not theirs to end; nor is
/// it if nobody can say just now where the patient is reached.
async fn wisher(api: &Api, draft: &Draft) -> Option<Person> {
    let person = Person::Patient(draft.patient.clone().filter(|_| draft.channel == Channel::Email)?);
    let reached = timeout(REACHED_MAX, api.planner.peers.reached(&person)).await.ok()?.ok()??;
    let own = reached.address(Channel::Email).map(addressee);
    (own == Some(addressee(&draft.content.to))).then_some(person)
}

/// Refuses an address that is written to no more.
async fn check_address(api: &Api, draft: &Draft) -> Result<(), Error> {
    let Draft { channel, content, .. } = draft;
    let mut tx = api.db.read().await?;
    let device = match channel {
        Channel::Push => device_find(&mut tx, &api.db, &content.to).await?,
        Channel::Email | Channel::Sms => None,
    };
    let to = device.as_ref().map_or(content.to.as_str(), |kept| kept.device.address());
    let cause = suppression_of(&mut tx, &api.db, *channel, to).await?;
    if is_kept_back(*channel, cause, content.critical) { Err(Error::Suppressed) } else { Ok(()) }
}

/// Commits the notification, and the answer to be given if nothing more comes of it.
async fn keep<E: Endpoint>(
    api: &Api,
    id: &NotificationId,
    (draft, kind): (&Draft, NotificationType),
    start: &Start,
    receipt: &Receipt,
    answer: &Answer<E>,
) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    db::retrying(&api.db, async |mut tx| {
        lock_patient(&mut tx, draft.patient.as_ref()).await?;
        notification_insert(&mut tx, &api.db, id, draft, start).await?;
        if kind != NotificationType::Message {
            notification_mark(&mut tx, id, kind).await?;
        }
        let now = tx.now();
        receipt.commit(tx, answer).await?;
        Ok(now)
    })
    .await
}

/// The first attempt. The answer that tells of it takes the place of the one kept before.
async fn attempt<E>(api: &Api, claimed: &Claimed, receipt: &Receipt) -> Result<Option<Answer<E>>, db::Error>
where
    E: Endpoint<Reply = NotificationSent>,
{
    let attempted = api.delivery.attempt(claimed).await;
    let status = match &attempted.verdict {
        Verdict::Sent(_) => NotificationStatus::Sent,
        Verdict::Failed(_) => NotificationStatus::Failed,
        Verdict::Again { .. } => NotificationStatus::Queued,
    };
    let answer = answer(&claimed.id, status, claimed.version + 1);
    let is_noted = db::retrying(&api.db, async |mut tx| {
        if !note(&mut tx, &api.db, claimed, &attempted).await? {
            return Ok(false);
        }
        receipt.commit(tx, &answer).await?;
        Ok::<_, db::Error>(true)
    });
    Ok(is_noted.await?.then_some(answer))
}

fn answer<E>(id: &NotificationId, status: NotificationStatus, version: i64) -> Answer<E>
where
    E: Endpoint<Reply = NotificationSent>,
{
    let answer = Answer::new(NotificationSent { status, notification_id: id.clone() })
        .located_at(format!("/api/notifications/{id}"))
        .version(version);
    if status == NotificationStatus::Queued { answer.accepted() } else { answer }
}
