//! `kill -9` under write load: each acknowledged write is there afterwards, and what was begun is brought to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use blackbox::{Client, Healthcare, Reply};
use tokio::task::JoinSet;

const WRITERS: u32 = 8;
const ROUNDS: u32 = 3;

/// Reads a patient, when this address may ask again.
async fn read(client: &Client, id: &str) -> Reply {
    loop {
        let reply = client.call("GET", &format!("/api/patients/{id}"), None).await;
        if reply.status != 429 {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Registers patients one after another until the connection breaks; gives the ids that were acknowledged.
async fn write(client: Client, next: Arc<AtomicU32>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let id = format!("load-{}", next.fetch_add(1, Ordering::Relaxed));
        let body = format!(
            r#"{{"patientId": "{id}", "name": "Load Test", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
        );
        match client.try_call("POST", "/api/patients", Some(&body)).await {
            Ok(reply) if reply.status == 201 => acknowledged.push(id),
            Ok(reply) if matches!(reply.status, 429 | 503) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(reply) => panic!("{}: {} {}", reply.asked, reply.status, reply.text),
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_to_a_kill() {
    let mut stack = Healthcare::start().await;
    let next = Arc::new(AtomicU32::new(0));
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let admin = stack.admin().await;
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(admin.clone(), Arc::clone(&next)));
        }
        // Killed at another moment in each round.
        tokio::time::sleep(Duration::from_millis(400 + u64::from(round) * 137)).await;
        let setup = stack.kill().await;
        let mut acknowledged = 0;
        while let Some(ids) = writers.join_next().await {
            let ids = ids.unwrap();
            acknowledged += ids.len();
            all.extend(ids);
        }
        assert!(acknowledged > 0, "round {round} wrote nothing");
        stack = setup.start().await;
        let admin = stack.admin().await;
        for id in &all {
            assert_eq!(read(&admin, id).await.expect(200).json()["name"], "Load Test");
        }
    }
    println!("{} acknowledged writes outlived {ROUNDS} kills", all.len());
}

/// Deletes patients one after another until the connection breaks.
async fn delete(client: Client, ids: Vec<String>, deleted: Arc<AtomicU32>) {
    for id in ids {
        if client.try_call("DELETE", &format!("/api/patients/{id}"), None).await.is_err() {
            return;
        }
        deleted.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_a_kill_interrupts_is_brought_to_its_end() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let ids: Vec<String> = (0..32).map(|at| format!("gone-{at}")).collect();
    for id in &ids {
        let patient = format!(
            r#"{{"patientId": "{id}", "name": "Load Test", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
        );
        let _ = admin.call("POST", "/api/patients", Some(&patient)).await.expect(201);
        let mail =
            format!(r#"{{"to": "a@example.com", "subject": "Hello", "body": "Come.", "patientId": "{id}"}}"#);
        let _ = admin.call("POST", "/api/notifications/email", Some(&mail)).await.expect(201);
    }
    let (deleted, mut at_work) = (Arc::new(AtomicU32::new(0)), JoinSet::new());
    for some in ids.chunks(8) {
        at_work.spawn(delete(admin.clone(), some.to_vec(), Arc::clone(&deleted)));
    }
    // In the middle: some are deleted, the others are told of some of them, and some are not deleted yet.
    while deleted.load(Ordering::Relaxed) < 6 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let setup = stack.kill().await;
    at_work.join_all().await;
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let mut gone = 0;
    for id in &ids {
        if read(&admin, id).await.status == 200 {
            continue;
        }
        gone += 1;
        let path = format!("/api/patients/{id}/erasure");
        let told = async {
            while admin.call("GET", &path, None).await.expect(200).json()["status"] != "Completed" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), told).await.expect("it comes to its end");
        let sent = admin.call("GET", &format!("/api/notifications?patientId={id}"), None).await.expect(200);
        assert_eq!(sent.json()["items"], serde_json::json!([]), "{id}");
    }
    assert!(gone >= 6, "{gone} were deleted");
}
