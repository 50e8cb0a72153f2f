//! Identity providers outside the stack, as OpenID Connect Core 1.0 has them: authorization code with PKCE, and nothing else.
//!
//! | module | idea |
//! |---|---|
//! | [`provider`] | a provider: where to send a browser, and whom a code is for |
//! | [`document`] | what a provider says of itself |
//! | [`fetch`] | asked within bounds of size and time |
//! | [`id_token`] | what an ID token must say before it is believed |
//!
//! What is kept of a login here, and what comes of it, is [`crate::api::oidc`]'s.

pub mod document;
pub mod fetch;
pub mod id_token;
pub mod provider;

pub use fetch::Fault;
pub use provider::{Provider, Providers, Refusal};
