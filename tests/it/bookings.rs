//! Many who book at once, through the gateway.

use std::collections::BTreeMap;

use blackbox::{Client, Setup};
use chrono::{Duration, NaiveTime};
use serde_json::{Value, json};
use testkit::engines::fresh_database;
use tokio::task::JoinSet;

const AT_ONCE: i32 = 200;

#[tokio::test]
async fn two_hundred_who_book_at_once_get_a_slot_or_hear_that_it_is_taken() {
    each_slot_has_one_holder(Setup::new()).await;
}

#[tokio::test]
async fn and_so_it_is_on_postgresql() {
    each_slot_has_one_holder(Setup::new().with_database(&fresh_database().await)).await;
}

/// Every quarter of an hour of a day, eight times over, half an hour each: so every other one can be had, and not one more.
async fn each_slot_has_one_holder(setup: Setup) {
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let contact = json!({"phone": "+1234567890"});
    let provider = json!({"providerId": "prov1", "name": "Jane Doe", "specialization": "Cardiology", "contactInfo": contact});
    create(&admin, "/api/providers", provider).await;
    let patient = json!({"patientId": "p1", "name": "John Doe", "dob": "1980-01-01", "contactInfo": contact});
    create(&admin, "/api/patients", patient).await;
    let slot = |nth: i32| {
        let time = NaiveTime::default() + Duration::minutes(15 * i64::from(nth % 25));
        json!({"patientId": "p1", "providerId": "prov1", "appointmentDate": "2030-01-07", "timeSlot": time.format("%H:%M").to_string()})
    };
    let mut booked = JoinSet::new();
    for nth in 0..AT_ONCE {
        let (client, body) = (admin.on_connections_of_its_own(), slot(nth).to_string());
        booked.spawn(async move { client.call("POST", "/api/appointments", Some(&body)).await });
    }
    let mut answers: BTreeMap<u16, i32> = BTreeMap::new();
    while let Some(reply) = booked.join_next().await {
        let reply = reply.unwrap();
        assert!([201, 409].contains(&reply.status), "{} {}", reply.status, reply.text);
        *answers.entry(reply.status).or_default() += 1;
    }
    let held =
        admin.call("GET", "/api/appointments?providerId=prov1&limit=100", None).await.expect(200).json();
    let mut times: Vec<String> = held["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["timeSlot"].as_str().unwrap().to_owned())
        .collect();
    times.sort_unstable();
    assert_eq!(answers.get(&201).copied(), i32::try_from(times.len()).ok(), "{answers:?}");
    assert!(times.is_sorted_by(|one, next| minutes(next) - minutes(one) >= 30), "{times:?}");
    // Nobody was refused for nothing: what is free still can be had by nobody.
    for nth in 0..25 {
        let _ = admin.call("POST", "/api/appointments", Some(&slot(nth).to_string())).await.expect(409);
    }
}

async fn create(client: &Client, path: &str, body: Value) {
    let _ = client.call("POST", path, Some(&body.to_string())).await.expect(201);
}

fn minutes(time: &str) -> i64 {
    let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
    (time - NaiveTime::default()).num_minutes()
}
