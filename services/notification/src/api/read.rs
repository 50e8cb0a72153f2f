//! `GET /api/notifications/{notificationId}`

use contracts::notifications::NotificationById;
use http_kit::{Answer, Call, Reach};

use super::Api;
use crate::error::Error;
use crate::store::notification::notification_find;

/// Retrieves a notification. Whoever is nothing but a patient sees what concerns them.
pub async fn by_id(api: Api, call: Call<NotificationById>) -> Result<Answer<NotificationById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let found = notification_find(&mut tx, &api.db, &id).await?.ok_or(Error::NotFound)?;
    let visible = match (call.caller.reach(), &found.draft.patient) {
        (Reach::Everyone, _) => true,
        (reach, Some(patient)) => reach.covers(patient),
        (Reach::Only(_) | Reach::Nobody, None) => false,
    };
    if !visible {
        return Err(Error::NotFound);
    }
    Ok(Answer::new(found.view()).version(found.version))
}
