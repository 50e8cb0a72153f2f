//! Roles: those that every stack has, and those that a clinic made for itself.

pub mod create;
pub mod delete;
pub mod list;
pub mod read;
pub mod update;

use contracts::id::UserId;
use contracts::role_name::RoleName;
use db::Tx;

use crate::error::Error;
use crate::store::revocation::{Ended, revocation_insert};
use crate::store::role::{Kept, holders_touch, role_find};
use crate::store::session::sessions_end;

/// The role that is to be changed, which none is that every stack has.
async fn changeable(tx: &mut Tx, name: &RoleName) -> Result<Kept, Error> {
    match name.built_in() {
        Some(role) if role != contracts::permission::Role::Service => Err(Error::BuiltInRole),
        _ => role_find(tx, name).await?.ok_or(Error::NotFound),
    }
}

/// Ends the sessions of whoever has a role: their tokens say what is no longer so. The accounts are held first and the sessions ended after
/// that, so that a login under way either looks again or is seen.
async fn end_sessions(tx: &mut Tx, holders: &[UserId]) -> Result<Vec<Ended>, Error> {
    let mut ended = Vec::new();
    for holder in holders {
        ended.extend(sessions_end(tx, holder, None).await?);
    }
    revocation_insert(tx, &ended).await?;
    Ok(ended)
}

/// Whoever has a role, their accounts held.
async fn holders(tx: &mut Tx, name: &RoleName) -> Result<Vec<UserId>, Error> {
    Ok(holders_touch(tx, name).await?)
}
