//! What every service's HTTP side stands on.
//!
//! | module | idea |
//! |---|---|
//! | [`caller`] | who calls, how far they see, and how much of it they are shown |
//! | [`access`], [`consents`] | whether a caller may see a patient: by care, or because they broke the glass; what the patient does not share |
//! | [`token`], [`keys`], [`revocation`], [`identity`] | who calls: tokens checked, revocations known, this service's own token |
//! | [`generate`] | secrets that a stack makes for itself |
//! | [`routes`], [`call`] | a handler mounted at its declared operation: access, body, answer and errors in one place |
//! | [`receipt`] | a POST's answer kept for the same request repeated |
//! | [`json`] | strict reading: unknown members refused by name, faults with their path |
//! | `form` | the bodies that OAuth's standards ask for |
//! | `mail` | bodies that are a mail |
//! | [`answer`], [`etag`], [`page`] | what every answer carries |
//! | [`problem`] | errors as RFC 9457 documents |
//! | [`audit`], `concerned.rs` | an entry for every call, before its answer leaves; whose data it was about |
//! | [`configuration`] | settings and keys that are others than before have an entry, too |
//! | [`verification`] | whether what stands in the audit is as it was written |
//! | [`erasure`], [`wrapped`] | the keys of erased patients destroyed; what was done away with, and what is kept; what keys are wrapped under |
//! | [`retention`] | what is kept of them, and what takes it away when its time is over |
//! | [`export`] | all that a service holds of a patient, kind by kind |
//! | [`renewal`] | what the version before this one wrote, written anew |
//! | [`relay`] | events from the outbox to their subscribers |
//! | [`kit`], [`serve`], [`process`] | a service put together, started, drained; a service as a process |
//! | [`ready`], [`healthcheck`] | whether a service can do its work, and how that is asked |
//! | [`listen`](mod@listen), [`stop`] | how a process takes an address, and is asked to end |
//! | [`telemetry`] | logs and metrics; never health data |
//!
//! Without the feature `service` only what the gateway needs is here: tokens, problems, telemetry, the way a process ends.

pub mod caller;
pub mod generate;
pub mod healthcheck;
pub mod identity;
pub mod keys;
pub mod listen;
mod log_lines;
pub mod problem;
pub mod revocation;
pub mod stop;
pub mod telemetry;
pub mod token;

#[cfg(feature = "service")]
pub mod access;
#[cfg(feature = "service")]
pub mod answer;
#[cfg(feature = "service")]
pub mod audit;
#[cfg(feature = "service")]
pub mod call;
#[cfg(feature = "service")]
mod concerned;
#[cfg(feature = "service")]
pub mod configuration;
#[cfg(feature = "service")]
pub mod consents;
#[cfg(feature = "service")]
mod converse;
#[cfg(feature = "service")]
mod deadline;
#[cfg(feature = "service")]
pub mod erasure;
#[cfg(feature = "service")]
pub mod etag;
#[cfg(feature = "service")]
pub mod events;
#[cfg(feature = "service")]
pub mod export;
#[cfg(feature = "service")]
pub mod form;
#[cfg(feature = "service")]
mod html;
#[cfg(feature = "service")]
pub mod json;
#[cfg(feature = "service")]
pub mod kit;
#[cfg(feature = "service")]
mod mail;
#[cfg(feature = "service")]
pub mod outside;
#[cfg(feature = "service")]
pub mod page;
#[cfg(feature = "service")]
pub mod process;
#[cfg(feature = "service")]
pub mod ready;
#[cfg(feature = "service")]
pub mod receipt;
#[cfg(feature = "service")]
pub mod relay;
#[cfg(feature = "service")]
pub mod renewal;
#[cfg(feature = "service")]
pub mod retention;
#[cfg(feature = "service")]
pub mod routes;
#[cfg(feature = "service")]
pub mod serve;
#[cfg(feature = "service")]
mod shape;
#[cfg(feature = "service")]
mod tls_listener;
#[cfg(feature = "service")]
pub mod verification;
#[cfg(feature = "service")]
pub mod wrapped;

#[cfg(feature = "service")]
pub use access::Seeker;
#[cfg(feature = "service")]
pub use answer::Answer;
#[cfg(feature = "service")]
pub use call::Call;
pub use caller::{Caller, Reach, View};
#[cfg(feature = "service")]
pub use events::{Events, Teller, events};
#[cfg(feature = "service")]
pub use kit::{Kit, Service, World};
#[cfg(feature = "service")]
pub use receipt::Receipt;
#[cfg(feature = "service")]
pub use retention::Retention;
#[cfg(feature = "service")]
pub use routes::{Failure, Routes};
pub use stop::Phase;
