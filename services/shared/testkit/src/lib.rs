//! What the tests stand on: real parts, started for the test process and gone with it.
//!
//! | file | idea |
//! |---|---|
//! | `collector.rs` | [`Collector`](collector::Collector), which takes traces as an OpenTelemetry collector does |
//! | `contents.rs` | all that is written of a database: files, dumps, the server's files |
//! | `postgres.rs` | a PostgreSQL server of the test process's own |
//! | `engines.rs` | [`TestDb`], a fresh migrated database; [`on_both_engines!`], one test on SQLite and PostgreSQL |
//! | `folder.rs` | a folder for a database, in memory where there is room |
//! | `forgery.rs` | tokens that nobody issued, or not so; a trap for whoever believes them |
//! | `oidc.rs` | a real [`IdentityProvider`](oidc::IdentityProvider), and a browser that logs in there |
//! | `patients.rs` | patients registered and erased, for other services' tests |
//! | `python.rs` | a Python with a package of the Python package index |
//! | `resource.rs` | [`Resource`], what a service keeps, and the habits that all such things have |
//! | `running.rs` | [`Running`], a program that one test has started |
//! | `s3.rs` | a real S3 server for one test |
//! | `smtp.rs` | a real SMTP server for one test |
//! | `stack.rs` | [`TestStack`], services running on real sockets; [`stack_tests!`] |
//! | `thief.rs` | tokens by a part's stolen key |
//! | `transit.rs` | a real transit engine for one test |

pub mod collector;
pub mod contents;
pub mod dkim;
pub mod engines;
pub mod fake;
pub mod folder;
pub mod forgery;
pub mod oidc;
pub mod patients;
pub mod postgres;
pub mod python;
pub mod radicale;
pub mod resource;
pub mod running;
pub mod s3;
pub mod smtp;
pub mod stack;
pub mod thief;
pub mod transit;

pub use engines::TestDb;
pub use radicale::Radicale;
pub use resource::Resource;
pub use running::Running;
pub use s3::S3Server;
pub use smtp::SmtpServer;
pub use stack::{Reply, TestStack};
pub use transit::TransitServer;
