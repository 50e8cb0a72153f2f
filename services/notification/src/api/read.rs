//! `GET /api/notifications/{notificationId}`

use contracts::id::PatientId;
use contracts::notifications::NotificationById;
use contracts::trail;
use http_kit::{Answer, Call, Caller, Reach, access};

use super::Api;
use crate::error::Error;
use crate::store::notification::{Sealed, notification_find};

/// Retrieves a notification: a clinician those that concern whom they treat. Whether there is none, or one that concerns somebody else, the database
/// is asked the same.
pub async fn by_id(api: Api, call: Call<NotificationById>) -> Result<Answer<NotificationById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let sealed = notification_find(&mut tx, &id).await?;
    let patient = sealed.as_ref().and_then(Sealed::patient);
    if let Some(patient) = &patient {
        trail::concerns(patient.as_str());
    }
    let concerned = patient.clone().unwrap_or_else(|| PatientId::trusted(String::new()));
    let reaches = access::reaches(&mut tx, &call.caller, &concerned).await?;
    let is_shown = reaches && (patient.is_some() || sees_what_concerns_nobody(&call.caller));
    let Some(sealed) = sealed.filter(|_| is_shown) else { return Err(Error::NotFound) };
    let found = sealed.open(&api.db).await?.ok_or(Error::NotFound)?;
    Ok(Answer::new(found.view()).version(found.version))
}

fn sees_what_concerns_nobody(caller: &Caller) -> bool {
    caller.reach() == Reach::Everyone && !caller.is_carer()
}
