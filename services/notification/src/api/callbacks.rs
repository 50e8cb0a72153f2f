//! `POST /api/notifications/callbacks/sms`, and `…/sms/inbound`: what an SMS provider tells, under its signature.
//!
//! Without it nothing is read of what is told, and the answer is the same whatever it was. With it the answer is the same whether or not there is
//! such a notification. Each telling counts once: a recorded one that is sent again changes nothing.

use contracts::deliveries::{SmsForm, Twiml};
use contracts::field::Phone;
use contracts::id::{self, NotificationId};
use contracts::notifications::{Channel, SmsInbound, SmsStatus};
use db::Tx;
use http_kit::{Answer, Call};

use super::{Api, lock_patient};
use crate::channels::sms::{STATUS_PATH, cause, status_path};
use crate::domain::delivery::{Cause, Refusal};
use crate::domain::reply_word::{ReplyWord, reply_word};
use crate::error::Error;
use crate::store::again::{HandOver, notification_came_back};
use crate::store::notification::notification_find;
use crate::store::outcome::notification_delivered;
use crate::store::suppression::{suppression_lift_stop, suppression_put};

const INBOUND_PATH: &str = "/api/notifications/callbacks/sms/inbound";
/// Nothing is written back.
const NOTHING: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#;
/// Who writes, how to end it, and where to turn to (CTIA, Messaging Principles §5.1.3).
const HELP: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Message>This number sends notices of your clinic about appointments. Reply STOP to end them, START to get them again. For anything else call your clinic.</Message></Response>"#;

/// Takes what became of a message.
pub async fn status(api: Api, call: Call<SmsStatus>) -> Result<Answer<SmsStatus>, Error> {
    let query = call.query.notification_id.as_deref().unwrap_or_default();
    let turn = call.query.turn;
    let path = match &call.query.notification_id {
        Some(id) => status_path(id, turn),
        None => STATUS_PATH.to_owned(),
    };
    check(&api, &path, &call.body, call.signature.as_deref())?;
    let done = Answer::new(Twiml(NOTHING.to_owned()));
    let (Ok(id), Some(news)) = (NotificationId::parse(query), news(&call.body)) else { return Ok(done) };
    let patient = notification_find(&mut api.db.read().await?, &id).await?.and_then(|it| it.patient());
    let of = HandOver { id: &id, channel: Channel::Sms, turn: turn.unwrap_or(0) };
    db::retrying(&api.db, async |mut tx| {
        lock_patient(&mut tx, patient.as_ref()).await?;
        if is_first(&mut tx, &call.body, "MessageStatus").await? {
            take(&api, &mut tx, &of, &call.body, &news).await?;
            tx.commit().await?;
        }
        Ok::<_, Error>(())
    })
    .await?;
    if matches!(news, News::Bounced(_)) {
        // What came back goes another way.
        api.planner.wake();
    }
    Ok(done)
}

async fn take(api: &Api, tx: &mut Tx, of: &HandOver<'_>, form: &SmsForm, news: &News) -> Result<(), Error> {
    match news {
        News::Delivered => {
            notification_delivered(tx, of).await?;
        }
        News::Bounced(refusal) => {
            notification_came_back(tx, &api.db, of, refusal).await?;
            let number = form.get("To").and_then(|to| Phone::parse(to).ok());
            if let (Some(cause), Some(number)) = (refusal.cause, number) {
                suppression_put(tx, &api.db, (Channel::Sms, number.as_str()), cause).await?;
            }
        }
    }
    Ok(())
}

/// Takes a text message that somebody wrote: STOP, START and HELP mean something to us. Nothing else of it is kept.
pub async fn inbound(api: Api, call: Call<SmsInbound>) -> Result<Answer<SmsInbound>, Error> {
    check(&api, INBOUND_PATH, &call.body, call.signature.as_deref())?;
    let number = call.body.get("From").and_then(|from| Phone::parse(from).ok());
    let word = word(&call.body);
    if let (Some(number), Some(word @ (ReplyWord::Stop | ReplyWord::Start))) = (number, word) {
        db::retrying(&api.db, async |mut tx| {
            if is_first(&mut tx, &call.body, "Body").await? {
                match word {
                    ReplyWord::Start => suppression_lift_stop(&mut tx, &api.db, number.as_str()).await?,
                    _ => {
                        suppression_put(&mut tx, &api.db, (Channel::Sms, number.as_str()), Cause::Stop)
                            .await?;
                    }
                }
                tx.commit().await?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    }
    let is_help = word == Some(ReplyWord::Help) && call.body.get("OptOutType").is_none();
    Ok(Answer::new(Twiml(if is_help { HELP } else { NOTHING }.to_owned())))
}

/// What an inbound message means: by the text; or by what the provider made of it, where it looks after such words itself and has answered already.
pub fn word(form: &SmsForm) -> Option<ReplyWord> {
    let told = form.get("OptOutType").and_then(reply_word);
    told.or_else(|| form.get("Body").and_then(reply_word))
}

fn check(api: &Api, path: &str, form: &SmsForm, signature: Option<&str>) -> Result<(), Error> {
    if api.delivery.channels().has_signed(path, form, signature) { Ok(()) } else { Err(Error::NotFound) }
}

/// Whether this was not told before. In the same transaction as what comes of it.
async fn is_first(tx: &mut Tx, form: &SmsForm, what: &str) -> Result<bool, Error> {
    let sid = form.get("MessageSid").filter(|sid| id::check(sid).is_ok());
    let Some(sid) = sid else { return Ok(false) };
    let what = match what {
        "MessageStatus" => form.get(what).unwrap_or_default(),
        _ => "inbound",
    };
    Ok(db::inbox_accept(tx, &format!("sms:{sid}:{what}")).await?)
}

/// What is news of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It arrived.
    Delivered,
    /// It came back.
    Bounced(Refusal),
}

/// What is told, by <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values>; what is on its way is no news.
pub fn news(form: &SmsForm) -> Option<News> {
    match form.get("MessageStatus")? {
        "delivered" | "read" => Some(News::Delivered),
        "undelivered" | "failed" | "canceled" => {
            let code =
                form.get("ErrorCode").and_then(|code| code.parse::<u32>().ok()).filter(|code| *code > 0);
            let why = match code {
                Some(code) => format!("The provider could not deliver it ({code})."),
                None => "The provider could not deliver it.".to_owned(),
            };
            Some(News::Bounced(Refusal {
                why,
                code: code.map(|it| it.to_string()),
                cause: code.and_then(cause),
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_form_upsets_it(form in proptest::collection::btree_map("MessageStatus|ErrorCode|Body|OptOutType|[A-Z]{1,9}", "delivered|failed|-?[0-9]{0,30}|STOP|\\PC{0,30}", 0..8)) {
            let form = SmsForm(form);
            let _ = (news(&form), word(&form));
        }
    }
}
