//! `GET /api/records/break-glass` and `POST /api/records/break-glass/{grantId}/review`

use contracts::break_glass::{Finding, GlassReviewed};
use contracts::event::{Event, GlassNotice, What};
use contracts::id::{EventId, UserId};
use contracts::page::Page;
use contracts::records::{ListBreakGlass, ReviewBreakGlass};
use contracts::trail;
use db::Tx;
use http_kit::{Answer, Call, relay};

use super::Api;
use crate::domain::break_glass::{Kept, Review, Search, review as parse};
use crate::error::Error;
use crate::store::break_glass::{break_glass_find, break_glass_review, break_glass_search};

/// Lists emergencies, the newest first.
pub async fn list(api: Api, call: Call<ListBreakGlass>) -> Result<Answer<ListBreakGlass>, Error> {
    let search = Search::parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let page = search.window.page(break_glass_search(&mut tx, &api.db, &search).await?);
    let items = page.items.iter().flatten().map(Kept::view).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

/// Keeps what somebody found who looked at one; nobody looks at their own. One that was not right ends now.
pub async fn review(api: Api, call: Call<ReviewBreakGlass>) -> Result<Answer<ReviewBreakGlass>, Error> {
    let (id,) = &call.path;
    let (finding, note) = parse(&call.body)?;
    let reviewed = GlassReviewed { grant_id: id.clone(), status: "Reviewed".to_owned() };
    let answer = Answer::new(reviewed);
    db::retrying(&api.db, async |mut tx| {
        let mut kept = break_glass_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
        trail::concerns(kept.patient.as_str());
        if kept.user == call.caller.user {
            return Err(Error::OwnReview);
        }
        if kept.reviewed_at.is_some() {
            return Err(Error::Reviewed);
        }
        if finding == Finding::NotJustified {
            kept.until = kept.until.min(tx.now());
            shut(&api, &mut tx, &kept).await?;
        }
        kept.broken.review = Some(Review {
            finding,
            note: note.clone(),
            user: call.caller.user.clone(),
            username: call.caller.username.clone(),
        });
        break_glass_review(&mut tx, &api.db, &kept).await?;
        Ok(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// Shuts what was opened, here and where else it opened something.
async fn shut(api: &Api, tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    db::glass_shut(tx, kept.id.as_str()).await?;
    let notice = GlassNotice {
        grant_id: kept.id.clone(),
        patient_id: kept.patient.clone(),
        user_id: UserId::trusted(kept.user.clone()),
        until: kept.until,
        provider_ids: Vec::new(),
    };
    let (id, occurred_at) = (EventId::generate(api.db.random()), tx.now());
    relay::publish(tx, &api.db, &Event { id, occurred_at, what: What::GlassShut(notice) }).await
}
