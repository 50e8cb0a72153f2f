//! `GET /api/auth/users/{userId}`

use contracts::auth::UserById;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::error::Error;
use crate::store::account::account_find;

/// Retrieves a user.
pub async fn by_id(api: Api, call: Call<UserById>) -> Result<Answer<UserById>, Error> {
    let (id,) = call.path;
    let kept = account_find(&mut api.db.read().await?, &api.db, &id).await?.ok_or(Error::NotFound)?;
    Ok(Answer::new(kept.account.user.view(&id)).version(kept.version))
}
