//! `GET /internal/revocations`

use std::time::Duration;

use contracts::auth::{ListRevocations, Revocations};
use contracts::problem::{Problem, ProblemCode};
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::revocation::revocations_after;

/// A question is held open so long at most: that there is nothing new is word from auth too, and whoever has none refuses changes.
const WAIT: Duration = Duration::from_secs(5);

/// What was revoked after a point; waits for something new if there is nothing. Who names no point begins, and is answered at once.
pub async fn after(api: Api, call: Call<ListRevocations>) -> Result<Answer<ListRevocations>, Error> {
    let Some(after) = call.query.after else { return Ok(Answer::new(read(&api, 0).await?)) };
    if after < 0 {
        return Err(Problem::new(ProblemCode::InvalidQuery).fault("after", "must be 0 or more").into());
    }
    let mut found = read(&api, after).await?;
    if found.items.is_empty() && found.cursor == after {
        api.feed.wait_beyond(after, WAIT).await;
        found = read(&api, after).await?;
    }
    Ok(Answer::new(found))
}

async fn read(api: &Api, after: i64) -> Result<Revocations, db::Error> {
    revocations_after(&mut api.db.read().await?, after).await
}
