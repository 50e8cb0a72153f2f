//! `GET /api/notifications/links/{tokenId}/{linkId}`: a link in a message, followed and counted.
//!
//! Where it leads stands in the message alone, and is looked up there: nobody can have it lead elsewhere.

use contracts::links::HtmlPage;
use contracts::notifications::FollowLink;
use contracts::trail;
use http_kit::{Answer, Call};

use super::{Api, lock_patient};
use crate::domain::counted_link::is_program;
use crate::error::Error;
use crate::links::Purpose;
use crate::store::engagement::notification_followed;
use crate::store::notification::notification_find;

/// Leads on. Counts who reads, and not programs that look at every link, as far as they can be told.
pub async fn follow(api: Api, call: Call<FollowLink>) -> Result<Answer<FollowLink>, Error> {
    let (token, number) = call.path;
    let links = api.delivery.links();
    if !links.is_ours(Purpose::Follow, &token)? {
        return Err(Error::NotFound);
    }
    let id = token.notification();
    // From here on the audit knows who acts: whoever has this message.
    if let Some(trail) = trail::current() {
        trail.tell(|told| told.who = format!("link:{id}"));
    }
    let mut tx = api.db.read().await?;
    let sealed = notification_find(&mut tx, id).await?.ok_or(Error::NotFound)?;
    drop(tx);
    let found = sealed.open(&api.db).await?.ok_or(Error::NotFound)?;
    let patient = found.draft.patient;
    if let Some(patient) = &patient {
        trail::concerns(patient.as_str());
    }
    let target = links.followed(&found.draft.content.body, number.into()).ok_or(Error::NotFound)?;
    if !call.is_head && !is_program(call.user_agent.as_deref()) {
        db::retrying(&api.db, async |mut tx| {
            lock_patient(&mut tx, patient.as_ref()).await?;
            notification_followed(&mut tx, id).await?;
            Ok::<_, Error>(tx.commit().await?)
        })
        .await?;
    }
    Ok(Answer::new(HtmlPage::elsewhere(&target)).no_store().located_at(target))
}
