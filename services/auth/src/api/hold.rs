//! Whoever changes users, roles or sessions is still who they were when their token was looked at.
//!
//! That look is at a list which hears of a logout a moment later, and what is changed may take a moment too: computing a hash, asking another
//! service, waiting for a lock. In between, what the caller may can have been taken from them. Whoever takes it ends their sessions in the
//! same transaction, so that the session tells; and holding it has whoever would end it wait for the commit.

use db::Tx;
use http_kit::Caller;

use crate::error::Error;
use crate::store::session::{Standing, session_standing};

/// Refuses whoever was logged out meanwhile. Where sessions' rows come in the order in which rows are locked ([`store`](crate::store)): after
/// those of accounts.
///
/// A part of the stack has no session. One that is not known here is of a database that is older than the token, and stands as it did.
pub(super) async fn hold(tx: &mut Tx, caller: &Caller) -> Result<(), Error> {
    let Some(session) = &caller.session else { return Ok(()) };
    match session_standing(tx, session).await? {
        Standing::Ended => Err(Error::SessionOver),
        Standing::GoesOn | Standing::Unknown => Ok(()),
    }
}
