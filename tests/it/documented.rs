//! Every call of the user's document, each body letter by letter, in the order in which one needs the other.

use blackbox::documented::flow;
use blackbox::{Healthcare, Setup, document};

#[test]
fn the_document_is_read_whole() {
    let calls = document::calls();
    let bodies = calls.iter().filter(|call| call.body.is_some()).count();
    assert_eq!((calls.len(), bodies), (26, 15), "{calls:#?}");
}

#[tokio::test]
async fn every_documented_call_is_answered_as_documented_on_sqlite() {
    let stack = Healthcare::start().await;
    flow(&stack.client(), &stack.admin().await).await;
    let (_, status, _, log) = stack.interrupt().await;
    assert!(status.success());
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn every_documented_call_is_answered_as_documented_on_postgresql() {
    let url = testkit::engines::fresh_database().await;
    let stack = Setup::new().with_database(&url).start().await;
    flow(&stack.client(), &stack.admin().await).await;
    let (_, status, _, _) = stack.interrupt().await;
    assert!(status.success());
}

#[tokio::test]
async fn the_demo_has_the_documents_user_and_nothing_else_does() {
    let login = document::find("POST", "/api/auth/login");
    let plain = Healthcare::start().await;
    let _ = plain.client().call("POST", "/api/auth/login", login.body.as_deref()).await.expect(401);
    let demo = Setup::new().arg("--demo").start().await;
    let reply = demo.client().call("POST", "/api/auth/login", login.body.as_deref()).await.expect(200);
    let client = demo.client().with_token(reply.json()["token"].as_str().unwrap());
    for collection in ["patients", "providers", "appointments", "records", "bills"] {
        let page = client.call("GET", &format!("/api/{collection}?limit=200"), None).await.expect(200).json();
        let least = if collection == "providers" { 12 } else { 200 };
        assert!(page["items"].as_array().unwrap().len() >= least, "{collection}");
    }
}
