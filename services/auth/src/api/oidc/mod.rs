//! Login at an identity provider outside the stack: which there are, a login begun and finished, and our own second factor behind it.

mod enter;
pub mod finish;
pub mod list;
pub mod second_factor;
pub mod start;

use std::fmt::Display;

use contracts::problem::Faults;
use contracts::trail;

use super::{Api, bounded};
use crate::error::Error;
use crate::oidc::Provider;

/// The longest flow that is looked at, characters.
const FLOW_CHARS_MAX: usize = 64;

/// The provider of this name.
fn provider<'a>(api: &'a Api, name: &str) -> Result<&'a Provider, Error> {
    api.oidc.find(name).ok_or(Error::NoProvider)
}

/// Nobody is logged in. Why is for whoever runs the stack: a stranger is told nothing that would help the next try.
fn refused(provider: &str, why: impl Display) -> Error {
    tracing::info!(provider, %why, "a login at an identity provider is refused");
    trail::because(&format!("{provider}: {why}"));
    Error::OidcLoginFailed
}

/// Fields of these lengths, 1 to the most.
fn check(fields: &[(&str, &str, usize)]) -> Result<(), Error> {
    let mut faults = Faults::new();
    for (name, text, max) in fields {
        bounded(name, text, *max, &mut faults);
    }
    Ok(faults.into_result()?)
}
