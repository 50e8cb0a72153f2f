//! One service's database: one SQL text on PostgreSQL and SQLite, sealed health data, events that are not lost.
//!
//! | file | idea |
//! |---|---|
//! | [`Db`] `db.rs`, `open.rs`, `postgres.rs`, `sqlite.rs` | two stores (data and wrapped keys) opened with the limits that fit each engine |
//! | [`Tx`] `tx.rs`, `retry.rs` | a transaction on either engine, [`on!`], [`retrying`] |
//! | [`sql!`] `statements.rs` | each statement registered where it stands, prepared on both engines by one test |
//! | [`Migrations`] `migrations.rs` | the service's own, and the tables that every service has |
//! | [`Vault`] `vault/` | AES-256-GCM under a key per patient; blind indexes |
//! | [`Term`] `search.rs` | sealed rows found by words and values |
//! | [`outbox_add`] `outbox.rs`, [`inbox_accept`] `inbox.rs` | effects happen once |
//! | [`erasure_request`] `erasure.rs` | a patient's key destroyed after their data is gone |
//! | [`erasure_find`] `erasure_report.rs` | what was taken away then |
//! | [`fate`] `retention.rs`, [`retained_put`] `retained.rs`, [`legal_hold_on`] `legal_hold.rs` | what is kept of them, how long, and what stops its end |
//! | [`standing`](fn@standing) `access.rs` | who treats whom, and who broke the glass |
//! | [`denials_put`] `denial.rs` | what patients do not share, and with whom |
//! | [`idempotency_begin`] `idempotency.rs` | an answer kept for a repeated request |
//! | [`audit_write`] `audit/` | who did what to whose data, in keyed chains |
//! | [`last_told`](fn@last_told) `last_told.rs` | settings and keys that the service last ran with |
//! | [`Secrets`] `secrets.rs`, [`Error`] `error.rs` | what must not be printed, and is not |
//!
//! # Values on both engines
//! - Instants are `DateTime<Utc>` from [`contracts::ambient::Clock`], cut to microseconds: `timestamptz` on PostgreSQL,
//!   `text` on SQLite, where sqlx writes RFC 3339 in UTC. For the years 0 to 9999 that text sorts as the instants do
//!   (`+` < `.` < digits; a property test holds it). SQL never asks for the time itself (`now()`, `datetime()`): bind it.
//! - Whole numbers are `i64`: `bigint` and `integer`. Cast sums: `cast(sum(x) as bigint)`.
//! - `bool` is `boolean` and `integer`, bytes are `bytea` and `blob`, dates are `date` and `text`.
//! - Text that is sorted or paged by is `text collate "C"` on PostgreSQL: SQLite compares bytes, a locale does not. No text may
//!   hold U+0000, which PostgreSQL refuses.
//! - After a statement that failed, PostgreSQL takes no other in the same transaction: roll back, or write `on conflict`.
//!
//! This crate has no HTTP in it, asks no clock and no randomness but the ones it is given, and logs no data.

mod access;
mod audit;
mod db;
mod denial;
mod erasure;
mod erasure_report;
mod error;
mod idempotency;
mod inbox;
mod last_told;
mod legal_hold;
mod migrations;
mod names;
mod open;
mod outbox;
mod postgres;
mod retained;
mod retention;
mod retry;
mod search;
mod secrets;
mod sqlite;
mod statements;
mod tx;
mod vault;

pub use access::{
    Care, Seeker, Standing, access_forget, care_take, carers_of, glass_of, glass_open, glass_shut, standing,
};
pub use audit::{
    AuditDamage, AuditEntry, AuditFault, AuditFilter, AuditFlaw, AuditOutcome, AuditPlace, AuditReach,
    AuditSigner, AuditSigners, AuditVerified, FoundEntry, audit_checkpoint, audit_find, audit_kept,
    audit_refresh_key, audit_rotate_key, audit_sign_anew, audit_verify, audit_verify_within, audit_write,
};
pub use db::{Db, Engine, OpenError, Purged};
pub use denial::{Denial, Denied, denial_version, denials_put, denied_name};
pub use erasure::{
    erasure_finish, erasure_is_requested, erasure_lock, erasure_lock_name, erasure_request, erasures_pending,
    erasures_unasked,
};
pub use erasure_report::{Erased, ShreddedKind, erasure_find, erasure_shredded};
pub use error::{ConstraintKind, Error, SealError};
pub use idempotency::{Begun, KeptAnswer, Ticket, idempotency_begin, idempotency_keep, idempotency_release};
pub use inbox::inbox_accept;
pub use last_told::{LastTold, last_told, last_told_put};
pub use legal_hold::{LegalHold, legal_hold_find, legal_hold_on, legal_hold_take};
pub use migrations::{MigrateError, Migrations};
pub use names::names;
pub use open::OpenTo;
pub use outbox::{
    Backlog, ClaimedEvent, OutboxEvent, outbox_add, outbox_backlog, outbox_claim, outbox_delivered,
    outbox_failed, outbox_is_delivered, outbox_release,
};
pub use retained::{
    Item, Listed, NO_YEARS, Retained, RetainedGroup, Settled, hold_keys_destroy, retained_due,
    retained_groups, retained_list, retained_put, retained_settle, retained_subject, year_keys_destroy,
};
pub use retention::{Fate, Kept, Years, fate, fate_at_erasure, retention_year, year_is_over_at};
pub use retry::{Retry, retrying};
pub use search::{
    Term, search_index_old, search_index_old_clear, search_terms_clear, search_terms_put, search_tokens,
};
pub use secrets::{SecretError, Secrets};
pub use statements::{PrepareError, Statement, Store, prepare_all, statements};
pub use tx::{Tx, TxKind};
pub use vault::{Period, Place, RewrapError, Rewrapped, Subject, Unopened, Vault};

#[doc(hidden)]
pub use {inventory, sqlx};
