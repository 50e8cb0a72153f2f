//! Every call of the user's document, each body letter by letter, in the order in which one needs the other.

use blackbox::document::{self, DocumentedCall};
use blackbox::{Client, Healthcare, Reply, Setup};
use serde_json::Value;

const PASSWORD: &str = "a password that no list has";

/// Makes a documented call; what is in braces in its path stands for the document's own ids.
async fn call(client: &Client, method: &str, path: &str, ids: &[(&str, &str)]) -> (DocumentedCall, Reply) {
    let documented = document::find(method, path);
    let path = ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    let reply = client.call(method, &path, documented.body.as_deref()).await;
    assert!((200..300).contains(&reply.status), "{}: {}", reply.asked, reply.text);
    (documented, reply)
}

/// Whether `actual` is what the document shows, further members aside; ids and tokens are the server's to choose.
fn assert_shape(documented: &Value, actual: &Value, free: &[&str], asked: &str) {
    let Value::Object(documented) = documented else { return assert_eq!(documented, actual, "{asked}") };
    for (name, value) in documented {
        let found = &actual[name];
        if free.contains(&name.as_str()) {
            assert!(found.is_string() || found.is_number(), "{asked}: {name} is {found}");
        } else if value.is_object() {
            assert_shape(value, found, free, asked);
        } else {
            assert_eq!(value, found, "{asked}: {name}");
        }
    }
}

/// The documented PUT body merged into the documented resource is what GET must show afterwards.
fn assert_merged(put: &DocumentedCall, before: &Value, after: &Value) {
    let patch: Value = serde_json::from_str(put.body.as_deref().unwrap()).unwrap();
    for (name, value) in before.as_object().unwrap() {
        assert_eq!(&after[name], patch.get(name).unwrap_or(value), "{}: {name}", put.path);
    }
}

async fn lives_through(
    client: &Client,
    collection: &str,
    id_name: &str,
    id: &str,
    order: &mut Vec<&'static str>,
) {
    let item = format!("{collection}/{{{id_name}}}");
    let (get, reply) = call(client, "GET", &item, &[(id_name, id)]).await;
    let before = reply.json();
    assert_shape(&get.response, &before, &["appointmentId"], &reply.asked);
    let (put, reply) = call(client, "PUT", &item, &[(id_name, id)]).await;
    assert_shape(&put.response, &reply.json(), &["appointmentId"], &reply.asked);
    let (_, reply) = call(client, "GET", &item, &[(id_name, id)]).await;
    assert_merged(&put, &before, &reply.json());
    order.push("lived");
}

async fn documented_flow(stack: &Healthcare) {
    // The document's own user, with a password that the policy takes.
    let login = document::find("POST", "/api/auth/login");
    let admin = stack.admin().await;
    let user =
        serde_json::json!({"username": "johndoe", "password": PASSWORD, "roles": ["admin"]}).to_string();
    let _ = admin.call("POST", "/api/auth/users", Some(&user)).await.expect(201);
    let body = login.body.clone().unwrap().replace("password123", PASSWORD);
    let reply = stack.client().call("POST", "/api/auth/login", Some(&body)).await.expect(200);
    assert_shape(&login.response, &reply.json(), &["token", "refreshToken"], &reply.asked);
    let client = stack.client().with_token(reply.json()["token"].as_str().unwrap());
    let mut order = Vec::new();

    // The document's patient has the id 12345 wherever another call needs it.
    let register = document::find("POST", "/api/patients");
    let body = register.body.clone().unwrap().replacen('{', "{\n  \"patientId\": \"12345\",", 1);
    let reply = client.call("POST", "/api/patients", Some(&body)).await.expect(201);
    assert_eq!(reply.json(), register.response);
    let without_id = client.call("POST", "/api/patients", register.body.as_deref()).await.expect(201);
    assert_shape(&register.response, &without_id.json(), &["patientId"], &without_id.asked);
    let (add, reply) = call(&client, "POST", "/api/providers", &[]).await;
    assert_eq!((reply.status, reply.json()), (201, add.response));
    let (book, reply) = call(&client, "POST", "/api/appointments", &[]).await;
    assert_eq!(reply.status, 201);
    assert_shape(&book.response, &reply.json(), &["appointmentId"], &reply.asked);
    let appointment = reply.json()["appointmentId"].as_str().unwrap().to_owned();
    for collection in ["/api/bills", "/api/records"] {
        let (create, reply) = call(&client, "POST", collection, &[]).await;
        assert_eq!((reply.status, reply.json()), (201, create.response));
        assert!(reply.header("location").starts_with(collection));
    }

    for (collection, name, id) in [
        ("/api/patients", "patientId", "12345"),
        ("/api/providers", "providerId", "prov001"),
        ("/api/appointments", "appointmentId", appointment.as_str()),
        ("/api/bills", "billId", "bill789"),
        ("/api/records", "recordId", "rec001"),
    ] {
        lives_through(&client, collection, name, id, &mut order).await;
    }
    assert_eq!(order.len(), 5);

    for way in ["email", "sms", "push"] {
        let (send, reply) = call(&client, "POST", &format!("/api/notifications/{way}"), &[]).await;
        assert_eq!(reply.status, 201);
        assert_shape(&send.response, &reply.json(), &["notificationId"], &reply.asked);
    }
    let (gateway, reply) = call(&client, "GET", "/api/gateway", &[]).await;
    assert_shape(&gateway.response, &reply.json(), &["requests", "errors"], &reply.asked);
    assert!(reply.json()["metrics"]["requests"].as_u64().unwrap() >= 20);
    assert_eq!(reply.json()["metrics"]["errors"], 0);

    for (collection, name, id, afterwards) in [
        ("/api/appointments", "appointmentId", appointment.as_str(), (200, "Cancelled")),
        ("/api/bills", "billId", "bill789", (200, "Void")),
        ("/api/records", "recordId", "rec001", (404, "")),
        ("/api/providers", "providerId", "prov001", (404, "")),
        ("/api/patients", "patientId", "12345", (404, "")),
    ] {
        let item = format!("{collection}/{{{name}}}");
        let (delete, reply) = call(&client, "DELETE", &item, &[(name, id)]).await;
        assert_shape(&delete.response, &reply.json(), &["appointmentId"], &reply.asked);
        let gone = client.call("GET", &format!("{collection}/{id}"), None).await.expect(afterwards.0);
        if afterwards.0 == 200 {
            assert_eq!(gone.json()["status"], afterwards.1);
        }
    }

    let logout = document::find("POST", "/api/auth/logout");
    let body = logout.body.unwrap().replace("jwt-token", client.token().unwrap());
    let reply = client.call("POST", "/api/auth/logout", Some(&body)).await.expect(200);
    assert_eq!(reply.json(), logout.response);
    let _ = client.call("GET", "/api/patients", None).await.expect(401);
}

#[test]
fn the_document_is_read_whole() {
    let calls = document::calls();
    let bodies = calls.iter().filter(|call| call.body.is_some()).count();
    assert_eq!((calls.len(), bodies), (26, 15), "{calls:#?}");
}

#[tokio::test]
async fn every_documented_call_is_answered_as_documented_on_sqlite() {
    let stack = Healthcare::start().await;
    documented_flow(&stack).await;
    let (_, status, _, log) = stack.interrupt().await;
    assert!(status.success());
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn every_documented_call_is_answered_as_documented_on_postgresql() {
    let url = testkit::engines::fresh_database().await;
    let stack = Setup::new().arg("--database-url").arg(url).start().await;
    documented_flow(&stack).await;
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
