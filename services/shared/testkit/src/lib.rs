//! What the tests stand on: real parts, started for the test process and gone with it.
//!
//! | file | idea |
//! |---|---|
//! | `postgres.rs` | a PostgreSQL server of the test process's own |
//! | `engines.rs` | [`TestDb`], a fresh migrated database; [`on_both_engines!`], one test on SQLite and PostgreSQL |
//! | `smtp.rs` | a real SMTP server for one test |
//! | `stack.rs` | [`TestStack`], services running on real sockets; [`stack_tests!`] |

pub mod engines;
pub mod postgres;
pub mod smtp;
pub mod stack;

pub use engines::TestDb;
pub use smtp::SmtpServer;
pub use stack::{Reply, TestStack};
