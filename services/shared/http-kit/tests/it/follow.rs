//! Following who was logged out: questions that auth holds open are no sign of its being slow.

use std::sync::Arc;
use std::time::Duration;

use contracts::auth::{ListRevocations, RevocationFilter};
use contracts::client::Transport;

use super::*;

#[tokio::test]
async fn questions_that_are_held_open_do_not_rest_the_peer() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("auth.sock");
    let held = axum::routing::get(async |axum::extract::RawQuery(query): axum::extract::RawQuery| {
        // Longer than a call may take before it counts as slow.
        tokio::time::sleep(Duration::from_millis(if query.is_some() { 3_200 } else { 0 })).await;
        r#"{"items": [], "cursor": 1}"#
    });
    let router = axum::Router::new().route("/internal/revocations", held);
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let address = Address(format!("unix:{}", socket.display()));
    let auth = Transport::new(&address, None, Arc::new(String::new), Random::seeded(1)).unwrap();
    let ask = async |after: Option<i64>| {
        let filter = RevocationFilter { after };
        auth.call_within::<ListRevocations>(Duration::from_secs(25), &[], &filter, &()).await
    };
    let held = (0..20).map(|after| ask(Some(after)));
    futures_util::future::try_join_all(held).await.unwrap();
    for _ in 0..20 {
        ask(None).await.unwrap();
    }
    server.abort();
}
