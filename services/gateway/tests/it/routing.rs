//! Which request goes where.

use settings::Method;

use crate::backend::{Backend, unix};
use crate::house::{House, config, public};

fn routes() -> Vec<settings::Route> {
    vec![
        public(Method::Get, "/api/patients/{patientId}"),
        public(Method::Put, "/api/patients/{patientId}"),
        public(Method::Post, "/api/patients"),
        public(Method::Post, "/api/patients/merge"),
        public(Method::Get, "/api/files/{*rest}"),
    ]
}

#[tokio::test]
async fn a_request_reaches_its_service_with_path_and_query_as_they_are() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let answer = house.get("/api/patients/12345?full=true&q=%2F..").await;
    assert_eq!((answer.status, answer.text()), (200, "GET /api/patients/12345?full=true&q=%2F.. 0"));
    assert_eq!(house.ask("POST", "/api/patients", &[], "{}").await.text(), "POST /api/patients 2");
    assert_eq!(house.get("/api/files/a/b/c").await.text(), "GET /api/files/a/b/c 0");
}

#[tokio::test]
async fn a_unix_socket_is_an_upstream_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patient.sock");
    let task = unix(&path, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let address = settings::Address(format!("unix:{}", path.display()));
    let house = House::with(config(vec![address], routes())).await;
    let mut client = house.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/api/patients/1", &[], "").await.text(), "ok");
    }
    task.abort();
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    for path in
        ["/nothing", "/api/patients/1/x", "/api/patients/", "/internal/events", "/metrics", "/api/files/"]
    {
        house.get(path).await.assert_problem(404, "not-found");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_known_path_with_another_method_is_405_and_says_which_there_are() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let answer = house.ask("DELETE", "/api/patients/1", &[], "").await;
    answer.assert_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, OPTIONS"));
    house.ask("BREW", "/api/patients", &[], "").await.assert_problem(405, "method-not-allowed");
    let options = house.ask("OPTIONS", "/api/patients", &[], "").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("POST, OPTIONS")));
}

#[tokio::test]
async fn a_get_finds_the_template_although_a_post_has_the_very_path() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    assert_eq!(house.get("/api/patients/merge").await.text(), "GET /api/patients/merge 0");
    assert_eq!(house.ask("POST", "/api/patients/merge", &[], "").await.text(), "POST /api/patients/merge 0");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let mut client = house.client().await;
    let head = client.ask("HEAD", "/api/patients/1", &[], "").await;
    assert_eq!((head.status, backend.requests()[0].method.as_str()), (200, "HEAD"));
    let after = client.ask("GET", "/api/patients/1", &[], "").await;
    assert_eq!(after.text(), "GET /api/patients/1 0", "the connection is still in step");
}

#[tokio::test]
async fn paths_that_can_be_read_in_two_ways_are_refused() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    for path in [
        "/api/patients/a%2Fb",
        "/api/patients/%2e%2e",
        "/api/patients/../x",
        "/api//patients",
        "/api/patients/%00",
        "/api/patients/%5c",
        "/api/patients/%zz",
        "/api/./patients",
    ] {
        house.get(path).await.assert_problem(400, "malformed-request");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn needless_encodings_do_not_make_another_path() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    assert_eq!(house.get("/api/%70atients/%31?q=%61").await.text(), "GET /api/patients/1?q=%61 0");
    assert_eq!(house.get("http://other.example/api/patients/2").await.text(), "GET /api/patients/2 0");
}
