//! The database crate's tests: everything on both engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod access;
mod audit;
mod audit_forger;
mod audit_forging;
mod audit_found;
mod audit_tampering;
mod erasure;
mod faulty_engine;
mod files;
mod follow;
mod idempotency;
mod instants;
mod lost;
mod migrations;
mod outbox;
mod retained;
mod rewrap;
mod rewrap_races;
mod search;
mod secrets;
mod tls;
mod transactions;
mod transit;
mod transit_faulty;
mod vault;
mod visit;

/// A service's schema, small.
pub(crate) const MIGRATIONS: db::Migrations = {
    static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("tests/migrations/postgres");
    static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("tests/migrations/sqlite");
    db::Migrations { postgres: &POSTGRES, sqlite: &SQLITE }
};
