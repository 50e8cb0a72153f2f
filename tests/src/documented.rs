//! [`flow`]: every call of the user's document, each body letter by letter, in the order in which one needs the other.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::document::{self, DocumentedCall};
use crate::{Client, Reply};

const PASSWORD: &str = "a password that no list has";
/// What is signed out is refused everywhere after so long, at the latest.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

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
    let patch: Value = serde_json::from_str(put.body.as_deref().expect("it is there")).expect("it is there");
    for (name, value) in before.as_object().expect("it is there") {
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

/// Makes every documented call of a stack in which nothing is yet, and compares each answer. `anybody` is somebody without a token there,
/// and `admin` the first administrator.
///
/// # Panics
/// If an answer is not as documented.
pub async fn flow(anybody: &Client, admin: &Client) {
    // The document's own user, with a password that the policy takes.
    let login = document::find("POST", "/api/auth/login");
    let user =
        serde_json::json!({"username": "johndoe", "password": PASSWORD, "roles": ["admin"]}).to_string();
    let _ = admin.call("POST", "/api/auth/users", Some(&user)).await.expect(201);
    let body = login.body.clone().expect("it is there").replace("password123", PASSWORD);
    let reply = anybody.call("POST", "/api/auth/login", Some(&body)).await.expect(200);
    assert_shape(&login.response, &reply.json(), &["token", "refreshToken"], &reply.asked);
    let client = anybody.with_token(reply.json()["token"].as_str().expect("it is there"));
    let mut order = Vec::new();

    // The document's patient has the id 12345 wherever another call needs it.
    let register = document::find("POST", "/api/patients");
    let body = register.body.clone().expect("it is there").replacen('{', "{\n  \"patientId\": \"12345\",", 1);
    let reply = client.call("POST", "/api/patients", Some(&body)).await.expect(201);
    assert_eq!(reply.json(), register.response);
    let without_id = client.call("POST", "/api/patients", register.body.as_deref()).await.expect(201);
    assert_shape(&register.response, &without_id.json(), &["patientId"], &without_id.asked);
    let (add, reply) = call(&client, "POST", "/api/providers", &[]).await;
    assert_eq!((reply.status, reply.json()), (201, add.response));
    let (book, reply) = call(&client, "POST", "/api/appointments", &[]).await;
    assert_eq!(reply.status, 201);
    assert_shape(&book.response, &reply.json(), &["appointmentId"], &reply.asked);
    let appointment = reply.json()["appointmentId"].as_str().expect("it is there").to_owned();
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
    assert!(reply.json()["metrics"]["requests"].as_u64().expect("it is there") >= 20);
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
    let body = logout.body.expect("it is there").replace("jwt-token", client.token().expect("it is there"));
    let reply = client.call("POST", "/api/auth/logout", Some(&body)).await.expect(200);
    assert_eq!(reply.json(), logout.response);
    // The gateway hears of it from the auth service.
    let deadline = Instant::now() + REVOKED_WITHIN;
    while client.call("GET", "/api/patients", None).await.status != 401 {
        assert!(
            Instant::now() < deadline,
            "the token is good for longer than {REVOKED_WITHIN:?} after the logout"
        );
    }
}
