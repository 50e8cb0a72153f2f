//! `GET /api/appointments/feeds/{feedId}/{fileId}`: for calendar programs, which do not sign in.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::appointments::FeedCalendar;
use contracts::feeds::{CalendarText, FeedFile};
use contracts::id::FeedId;
use contracts::trail;
use db::Tx;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::feed::{Kept, Owner, calendar_of, window};
use crate::error::Error;
use crate::store::feed::{Sealed, feed_entries, feed_find, secret_hash};

/// No secret's hash.
const NOBODYS: [u8; 16] = [0; 16];

/// The calendar of a feed. Whoever has its secret reads it, as nobody in particular.
pub async fn calendar(api: Api, call: Call<FeedCalendar>) -> Result<Answer<FeedCalendar>, Error> {
    let (id, file) = &call.path;
    let mut tx = api.db.read().await?;
    let feed = let_in(&api, &mut tx, id, file).await?;
    if let Owner::Patient(patient) = &feed.owner {
        trail::concerns(patient.as_str());
        if let Some(seeker) = feed.feed.seeker()
            && !seeker.may_see(&mut tx, patient).await?
        {
            return Err(Error::NotFound);
        }
    }
    let entries = feed_entries(&mut tx, &api.db, &feed.owner, window(api.now())).await?;
    Ok(Answer::new(CalendarText(calendar_of(&entries).to_text())))
}

/// The feed, if this is its secret. Whether there is no such feed, or it has another secret, is the same: one row is looked for, one hash made, and
/// the two are compared in the same time, wherever they differ.
async fn let_in(api: &Api, tx: &mut Tx, id: &FeedId, file: &FeedFile) -> Result<Kept, Error> {
    let sealed = feed_find(tx, id).await?;
    let shown = secret_hash(&api.db, id, file)?;
    let kept = sealed.as_ref().map_or(&NOBODYS[..], Sealed::secret);
    let is_its = verify_slices_are_equal(kept, &shown).is_ok();
    let sealed = sealed.filter(|_| is_its).ok_or(Error::NotFound)?;
    // From here on the audit knows who reads: the feed, and through what was written when it was made, for whom.
    trail::has_shown(format!("feed:{id}"));
    sealed.open(&api.db).await?.ok_or(Error::NotFound)
}
