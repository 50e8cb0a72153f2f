//! An API server of a few answers, for tests of what is asked and what is made of it. What a real one does, the tests on a cluster see.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// A client whose requests are answered so: by their method and path.
pub(crate) fn client(answer: impl Fn(&str, &str) -> (u16, Value) + Send + Sync + 'static) -> Client {
    reading(move |method, path, _| answer(method, path))
}

/// A client whose requests are answered so: by their method, path and body, which is `null` if there is none.
pub(crate) fn reading(answer: impl Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync + 'static) -> Client {
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let sent = body.collect_bytes().await.expect("a body");
            let sent = serde_json::from_slice(&sent).unwrap_or_default();
            let (status, body) = answer(head.method.as_str(), head.uri.path(), &sent);
            let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            Ok::<_, Infallible>(response)
        }
    });
    Client::new(service, "clinic")
}

/// The metadata of an object that is there.
pub(crate) fn metadata(metadata: Value) -> (u16, Value) {
    (200, json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}))
}

/// As the API server says that something is not there.
pub(crate) fn not_found() -> (u16, Value) {
    refused(404, "NotFound")
}

/// As the API server says that it does not do it.
pub(crate) fn refused(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason,
    });
    (code, status)
}

/// A list of one kind.
pub(crate) fn list(kind: &str, items: &[Value]) -> (u16, Value) {
    let kind = format!("{kind}List");
    (200, json!({"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": items}))
}
