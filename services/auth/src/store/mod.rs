//! Where users, sessions and attempts are kept: SQL and sealing, and nothing that decides.
//!
//! Rows are locked in this order, so that no two transactions wait for each other: attempts, role, account, second factor, session, refresh tokens, and
//! last of all the revocation counter.
//!
//! What changes a user, a role or a session says so to the audit, here where it is changed: no handler can leave it out.

pub mod account;
pub mod attempt;
pub mod recovery_code;
pub mod refresh_token;
pub mod revocation;
pub mod role;
pub mod second_factor;
pub mod session;
