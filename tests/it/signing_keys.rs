//! Another key that users' tokens are signed with, while the stack runs and people work.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blackbox::healthcare::program;
use blackbox::{Client, Healthcare};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// The files are read every second.
const IN_USE_WITHIN: Duration = Duration::from_secs(15);
const CALLERS: usize = 4;
/// So that all of them together keep below the limit of one user.
const BETWEEN_CALLS: Duration = Duration::from_millis(80);

async fn rotate(data: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.arg("rotate-signing-key").arg("--data-dir").arg(data).args(more).kill_on_drop(true);
    let output = command.output().await.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Who signs in: the answer, and a client with its token.
async fn sign_in(anybody: &Client, password: &str) -> (Value, Client) {
    let body = json!({"username": "admin", "password": password}).to_string();
    let reply = anybody.call("POST", "/api/auth/login", Some(&body)).await.expect(200).json();
    let client = anybody.with_token(reply["token"].as_str().unwrap());
    (reply, client)
}

/// The head of a token names the key that signed it.
fn head(client: &Client) -> String {
    client.token().unwrap().split('.').next().unwrap().to_owned()
}

/// Signs in until that gives a token of a key that is not among these.
async fn until_another_key_signs(stack: &Healthcare, seen: &BTreeSet<String>) -> Client {
    let (begun, password) = (Instant::now(), stack.admin_password());
    loop {
        let (_, client) = sign_in(&stack.client(), &password).await;
        if !seen.contains(&head(&client)) {
            return client;
        }
        assert!(begun.elapsed() < IN_USE_WITHIN, "no other key signs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Calls again and again, until it is told to stop; tells how often, and what was not answered as it should be.
fn work(client: Client, stop: &Arc<AtomicBool>) -> JoinHandle<(usize, Vec<String>)> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let (mut calls, mut failed) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            for path in ["/api/patients", "/api/auth/me", "/api/providers"] {
                let reply = client.call("GET", path, None).await;
                calls += 1;
                if reply.status != 200 {
                    failed.push(format!("{path}: {} {}", reply.status, reply.text));
                }
                tokio::time::sleep(BETWEEN_CALLS).await;
            }
        }
        (calls, failed)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_exchanged_under_load_without_one_refused_request() {
    let stack = Healthcare::start().await;
    let data = stack.setup.data_path();
    let first = stack.admin().await;
    let mut seen = BTreeSet::from([head(&first)]);
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers: Vec<_> = (0..CALLERS).map(|_| work(first.clone(), &stop)).collect();
    for _ in 0..3 {
        let (code, said) = rotate(&data, &[]).await;
        assert!(code == Some(0) && said.contains("within a second"), "{said}");
        let client = until_another_key_signs(&stack, &seen).await;
        seen.insert(head(&client));
        // From its first request on, by whichever service takes it.
        workers.push(work(client, &stop));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for worker in workers {
        let (made, failed) = worker.await.unwrap();
        calls += made;
        assert!(failed.is_empty(), "{failed:?}");
    }
    assert!(calls > 50, "{calls} calls are no load");
    println!("{calls} calls, {} keys, none refused", seen.len());

    // A key that somebody else may have goes at once, and takes its tokens along: but nobody has to sign in again.
    let (signed_in, last) = sign_in(&stack.client(), &stack.admin_password()).await;
    let (code, said) = rotate(&data, &["--at-once"]).await;
    assert!(code == Some(0) && said.contains("good no more"), "{said}");
    let newest = until_another_key_signs(&stack, &seen).await;
    for old in [&first, &last] {
        let refused = old.call("GET", "/api/patients", None).await.expect(401);
        assert_eq!(refused.json()["code"], "unauthenticated", "{}", refused.text);
    }
    let _ = newest.call("GET", "/api/patients", None).await.expect(200);
    let refresh = json!({"refreshToken": signed_in["refreshToken"]}).to_string();
    let refreshed = stack.client().call("POST", "/api/auth/refresh", Some(&refresh)).await.expect(200);
    let refreshed = stack.client().with_token(refreshed.json()["token"].as_str().unwrap());
    assert_eq!(head(&refreshed), head(&newest));
    let _ = refreshed.call("GET", "/api/patients", None).await.expect(200);

    // And a stack that starts again goes on with what there is.
    let stack = stack.interrupt().await.0.start().await;
    let _ = stack
        .client()
        .with_token(refreshed.token().unwrap())
        .call("GET", "/api/patients", None)
        .await
        .expect(200);
    let keys = stack.client().call("GET", "/.well-known/jwks.json", None).await.expect(200).json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
}
