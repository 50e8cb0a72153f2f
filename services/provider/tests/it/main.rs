//! The provider service over real sockets, on both engines.
#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

mod bad_input;
mod compliance;
mod credentials;
mod exclusions;
mod index;
mod life;
mod registry;
mod schedule;
mod search;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::{Reply, Resource, TestStack};

/// The document's own provider.
pub(crate) const JANE: &str = r#"{
  "providerId": "prov001",
  "name": "Dr. Jane Doe",
  "specialization": "Cardiology",
  "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
  "availability": [
    {"day": "Monday", "slots": ["09:00-12:00", "14:00-17:00"]},
    {"day": "Wednesday", "slots": ["09:00-12:00"]}
  ]
}"#;

pub(crate) const PROVIDERS: Resource =
    Resource { service: ServiceName::ProviderService, path: "/api/providers", id: "providerId" };

/// Adds the document's provider under an id.
pub(crate) async fn add(stack: &Arc<TestStack>, id: &str) -> Reply {
    let body = JANE.replace("prov001", id);
    PROVIDERS.post(stack, &body).await
}

#[test]
fn every_statement_prepares_on_both_engines() {
    testkit::engines::every_statement_prepares(
        ServiceName::ProviderService,
        &provider::MIGRATIONS,
        "provider",
    );
}
