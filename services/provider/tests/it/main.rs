//! The provider service over real sockets, on both engines.
#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

mod bad_input;
mod life;
mod search;

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::stack::Who;
use testkit::{Reply, TestStack};

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

pub(crate) async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::ProviderService, who, method, path, body).await
}

/// Adds the document's provider under an id.
pub(crate) async fn add(stack: &Arc<TestStack>, id: &str) -> Reply {
    let body = JANE.replace("prov001", id);
    call(stack, Role::Admin, Method::POST, "/api/providers", Some(&body)).await
}

#[test]
fn every_statement_prepares_on_both_engines() {
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        let test = |test: testkit::TestDb| async move {
            assert!(db::prepare_all(test.db(), "provider").await.unwrap() > 0);
            test.teardown().await;
        };
        testkit::engines::run(engine, ServiceName::ProviderService, &provider::MIGRATIONS, test);
    }
}
