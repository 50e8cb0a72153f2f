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

/// Leads on. Counts who reads, and not programs that look at every link, as far as they can be told.
pub async fn follow(api: Api, call: Call<FollowLink>) -> Result<Answer<FollowLink>, Error> {
    let (token, number) = call.path;
    let id = api.message_of(Purpose::Follow, &token)?;
    let found = api.opened(id).await?;
    let patient = found.draft.patient;
    if let Some(patient) = &patient {
        trail::concerns(patient.as_str());
    }
    let target =
        api.delivery.links().followed(&found.draft.content.body, number.into()).ok_or(Error::NotFound)?;
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
