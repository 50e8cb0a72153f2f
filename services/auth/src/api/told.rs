//! What others are told of users: who they are now, for whoever keeps something of theirs.

use contracts::event::{Event, UserNotice, What};
use contracts::id::{EventId, UserId};
use contracts::permission::Role;
use db::Tx;
use http_kit::relay;

use super::Api;
use crate::domain::user::User;

impl Api {
    /// Tells of a user's version, in the transaction that makes it; `None`: they were deleted. Of what others keep to nothing, nothing is told.
    pub(in crate::api) async fn tell_user(
        &self,
        tx: &mut Tx,
        (id, version): (&UserId, i64),
        (before, after): (&User, Option<&User>),
    ) -> Result<(), db::Error> {
        let told = notice((id, version), after);
        if told == notice((id, version), Some(before)) {
            return Ok(());
        }
        let (id, occurred_at) = (EventId::generate(self.db.random()), tx.now());
        relay::publish(tx, &self.db, &Event { id, occurred_at, what: What::UserChanged(told) }).await
    }
}

fn notice((id, version): (&UserId, i64), user: Option<&User>) -> UserNotice {
    let active = user.filter(|user| user.is_active());
    let patient = active.filter(|user| user.roles.contains(&Role::Patient));
    let clinician = active.filter(|user| user.roles.contains(&Role::Clinician));
    UserNotice {
        user_id: id.clone(),
        version,
        is_active: active.is_some(),
        patient_id: patient.and_then(|user| user.patient_id.clone()),
        provider_id: clinician.and_then(|user| user.provider_id.clone()),
    }
}
