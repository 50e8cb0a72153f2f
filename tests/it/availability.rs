//! A stream of events comes through the gateway as it happens.

use std::time::Duration;

use blackbox::{Client, Healthcare};
use serde_json::{Value, json};

async fn create(client: &Client, path: &str, body: Value) {
    let _ = client.call("POST", path, Some(&body.to_string())).await.expect(201);
}

/// Reads until something was said.
async fn hear(stream: &mut reqwest::Response, heard: &mut String, text: &str) {
    while !heard.contains(text) {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("{text} does not come after {heard}")).unwrap();
        heard.push_str(std::str::from_utf8(&chunk.expect("it goes on")).unwrap());
    }
}

#[tokio::test]
async fn who_follows_a_provider_through_the_gateway_hears_of_each_booking_as_it_is_made() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let contact = json!({"phone": "+1234567890"});
    let provider = json!({"providerId": "prov1", "name": "Jane Doe", "specialization": "Cardiology", "contactInfo": contact});
    create(&admin, "/api/providers", provider).await;
    let patient = json!({"patientId": "p1", "name": "John Doe", "dob": "1980-01-01", "contactInfo": contact});
    create(&admin, "/api/patients", patient).await;
    let follow = async |heard: &str| {
        let request = admin.request("GET", "/api/providers/prov1/availability/events");
        request.header("last-event-id", heard).send().await.unwrap()
    };
    let (mut stream, mut heard) = (follow("0").await, String::new());
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    for (number, time) in [(1, "10:00"), (2, "11:00")] {
        let at = json!({"patientId": "p1", "providerId": "prov1", "appointmentDate": "2030-01-07", "timeSlot": time});
        create(&admin, "/api/appointments", at).await;
        hear(&mut stream, &mut heard, &format!("id: {number}\n")).await;
    }
    assert!(!heard.contains("id: 0\n") && !heard.contains("p1"), "{heard}");
    drop(stream);
    // Who comes back hears the rest.
    let (mut again, mut heard) = (follow("1").await, String::new());
    hear(&mut again, &mut heard, "id: 2\n").await;
}
