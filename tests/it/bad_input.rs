//! Bad input of every kind, for every service, through the gateway: a 4xx problem document that names the field, and nothing changed.

use blackbox::{Client, Healthcare, Reply, document};
use serde_json::{Value, json};

/// One way to spoil a body: where, with what (`None`: taken away), and the field that must be named.
type Spoiled = (&'static str, Option<Value>, &'static str);

async fn fill(admin: &Client) {
    let patient = document::find("POST", "/api/patients").body.unwrap();
    let patient = patient.replacen('{', "{ \"patientId\": \"12345\",", 1);
    let _ = admin.call("POST", "/api/patients", Some(&patient)).await.expect(201);
    for path in ["/api/providers", "/api/bills", "/api/records"] {
        let body = document::find("POST", path).body;
        let _ = admin.call("POST", path, body.as_deref()).await.expect(201);
    }
}

/// Everything that can be listed, as text: what must not change.
async fn everything(admin: &Client) -> String {
    let mut all = String::new();
    for collection in
        ["patients", "providers", "appointments", "bills", "records", "notifications", "auth/users"]
    {
        all.push_str(
            &admin.call("GET", &format!("/api/{collection}?limit=200"), None).await.expect(200).text,
        );
    }
    all
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}: {}", reply.asked, reply.text);
    assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.asked);
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    assert!(
        problem["code"].is_string() && problem["title"].is_string() && problem["traceId"].is_string(),
        "{problem}"
    );
}

fn spoil(body: &str, pointer: &str, value: Option<Value>) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} leads nowhere"),
    }
    body.to_string()
}

fn spoiled() -> Vec<(&'static str, Vec<Spoiled>)> {
    let long = || Some(json!("x".repeat(10_240)));
    vec![
        (
            "/api/patients",
            vec![
                ("/name", Some(json!(1)), "name"),
                ("/name", None, "name"),
                ("/name", Some(json!(null)), "name"),
                ("/name", long(), "name"),
                ("/name", Some(json!("a\0b")), "name"),
                ("/dob", Some(json!("2024-02-30")), "dob"),
                ("/contactInfo/email", Some(json!("nobody")), "contactInfo.email"),
                ("/contactInfo/phone", Some(json!("call me")), "contactInfo.phone"),
                ("/surname", Some(json!("x")), "surname"),
                ("/medicalHistory/allergies/0", Some(json!({})), "medicalHistory.allergies[0]"),
                ("/patientId", Some(json!("a b")), "patientId"),
            ],
        ),
        (
            "/api/providers",
            vec![
                ("/name", long(), "name"),
                ("/specialization", None, "specialization"),
                ("/availability/0/day", Some(json!("Moonday")), "availability[0].day"),
                ("/availability/0/slots/0", Some(json!("25:00-26:00")), "availability[0].slots[0]"),
                ("/availability/0/slots/1", Some(json!("11:00-15:00")), "availability[0].slots[1]"),
                ("/timeZone", Some(json!("Mars/Olympus")), "timeZone"),
            ],
        ),
        (
            "/api/appointments",
            vec![
                ("/patientId", Some(json!("nobody")), "patientId"),
                ("/providerId", Some(json!("nobody")), "providerId"),
                ("/appointmentDate", Some(json!("2024-02-30")), "appointmentDate"),
                ("/timeSlot", Some(json!("25:00")), "timeSlot"),
                ("/status", Some(json!("Maybe")), "status"),
                ("/durationMinutes", Some(json!(0)), "durationMinutes"),
                ("/durationMinutes", Some(json!(-30)), "durationMinutes"),
                ("/patientId", None, "patientId"),
            ],
        ),
        (
            "/api/bills",
            vec![
                ("/services/0/amount", Some(json!(-100.0)), "services[0].amount"),
                ("/services/0/amount", Some(json!(100.005)), "services[0].amount"),
                ("/services/0/amount", Some(json!("100.00")), "services[0].amount"),
                ("/totalAmount", Some(json!(151.0)), "totalAmount"),
                ("/insuranceClaim/claimAmount", Some(json!(151.0)), "insuranceClaim.claimAmount"),
                ("/services", Some(json!([])), "services"),
                ("/patientId", Some(json!("nobody")), "patientId"),
                ("/status", Some(json!("Paid")), "status"),
                ("/services/0/note", Some(json!("x")), "services[0].note"),
            ],
        ),
        (
            "/api/records",
            vec![
                ("/diagnosis", None, "diagnosis"),
                ("/diagnosis", Some(json!("")), "diagnosis"),
                ("/date", Some(json!("2999-01-01")), "date"),
                ("/prescriptions", Some(json!("Tylenol")), "prescriptions"),
                ("/patientId", Some(json!("nobody")), "patientId"),
            ],
        ),
        (
            "/api/notifications/email",
            vec![
                ("/to", Some(json!("johndoe")), "to"),
                ("/subject", Some(json!("a\r\nBcc: b@example.com")), "subject"),
                ("/body", None, "body"),
            ],
        ),
        (
            "/api/notifications/sms",
            vec![("/to", Some(json!("12345")), "to"), ("/message", Some(json!("")), "message")],
        ),
        ("/api/notifications/push", vec![("/to", Some(json!("")), "to"), ("/title", long(), "title")]),
    ]
}

#[tokio::test]
async fn each_spoiled_body_is_refused_by_name_and_changes_nothing() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    fill(&admin).await;
    let before = everything(&admin).await;
    for (path, cases) in spoiled() {
        let body = document::find("POST", path).body.unwrap();
        // Ids that are taken would hide the fault that is meant.
        let body = ["bill789", "rec001"].iter().fold(body, |body, id| body.replace(id, &format!("{id}-new")));
        let body = if path == "/api/providers" { body.replace("prov001", "prov002") } else { body };
        for (pointer, value, field) in cases {
            let reply = admin.call("POST", path, Some(&spoil(&body, pointer, value))).await;
            assert_problem(&reply, 422);
            assert_eq!(reply.faults(), [field], "{} {pointer}: {}", reply.asked, reply.text);
        }
    }
    assert_eq!(everything(&admin).await, before);
}

#[tokio::test]
async fn what_is_no_request_at_all_is_refused_everywhere() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    fill(&admin).await;
    let before = everything(&admin).await;
    let deep = format!("{}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    for call in document::calls().iter().filter(|call| call.body.is_some()) {
        let path = call.path.replace("{patientId}", "12345").replace("{providerId}", "prov001");
        let path = path.replace("{billId}", "bill789").replace("{recordId}", "rec001");
        for (body, status) in
            [("", 400), ("{", 400), ("{\"a\": \0}", 400), (deep.as_str(), 400), (huge.as_str(), 413)]
        {
            // An appointment with an id that is none is 404 whatever its body is.
            if !path.contains('{') {
                assert_problem(&admin.call(&call.method, &path, Some(body)).await, status);
            }
        }
        let plain = admin.request(&call.method, &path).header("content-type", "text/plain").body("{}");
        if !path.contains('{') {
            assert_problem(&admin.send(format!("{} {path} as text", call.method), plain).await.unwrap(), 415);
        }
    }
    assert_eq!(everything(&admin).await, before);
}

#[tokio::test]
async fn unknown_and_taken_ids_wrong_methods_and_stale_versions_are_refused() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    fill(&admin).await;
    let before = everything(&admin).await;
    for collection in ["patients", "providers", "appointments", "bills", "records"] {
        for id in ["nothing", "..", "%2e%2e", "a%20b", "%00", &"x".repeat(65)] {
            let reply = admin.call("GET", &format!("/api/{collection}/{id}"), None).await;
            assert!(matches!(reply.status, 400 | 404), "{}: {}", reply.asked, reply.status);
        }
        for (method, path) in
            [("PATCH", format!("/api/{collection}/12345")), ("DELETE", format!("/api/{collection}"))]
        {
            let reply = admin.call(method, &path, None).await;
            assert_problem(&reply, 405);
            assert!(!reply.header("allow").is_empty(), "{}", reply.asked);
        }
    }
    for (path, field) in
        [("/api/providers", "providerId"), ("/api/bills", "billId"), ("/api/records", "recordId")]
    {
        let reply = admin.call("POST", path, document::find("POST", path).body.as_deref()).await;
        assert_problem(&reply, 409);
        assert_eq!(reply.faults(), [field]);
    }
    for path in ["/api/patients/12345", "/api/providers/prov001", "/api/bills/bill789", "/api/records/rec001"]
    {
        for method in ["PUT", "DELETE"] {
            let request = admin.request(method, path).header("if-match", "\"v99\"");
            let request = request.header("content-type", "application/json").body("{}");
            assert_problem(&admin.send(format!("{method} {path}"), request).await.unwrap(), 412);
        }
    }
    let _ = admin.call("GET", "/api/nothing", None).await.expect(404);
    assert_eq!(everything(&admin).await, before);
}

#[tokio::test]
async fn no_token_a_forged_one_and_the_wrong_role_are_refused_on_every_operation() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let body = json!({"username": "the-patient", "password": "a long enough one 1", "roles": ["billing"]})
        .to_string();
    let _ = admin.call("POST", "/api/auth/users", Some(&body)).await.expect(201);
    let billing = stack.client().sign_in("the-patient", "a long enough one 1").await;
    let forged = admin.token().unwrap().rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    let forged = stack.client().with_token(&forged);
    let may = contracts::permission::Role::Billing.permissions();
    let mut checked = 0;
    for operation in contracts::operations().filter(|operation| !operation.is_internal()) {
        use contracts::endpoint::Access;
        if operation.access == Access::Public {
            continue;
        }
        let path: Vec<_> =
            operation.path.split('/').map(|part| if part.starts_with('{') { "x1" } else { part }).collect();
        let (method, path) = (operation.method.as_str(), path.join("/"));
        for client in [&stack.client(), &forged] {
            let reply = client.call(method, &path, Some("{}")).await;
            assert_problem(&reply, 401);
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{}", reply.asked);
        }
        if let Access::Needs(permission) = operation.access
            && !may.contains(permission)
        {
            assert_problem(&billing.call(method, &path, Some("{}")).await, 403);
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}
