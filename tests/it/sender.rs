//! `kill -9` of the sender, again and again: nothing that was acknowledged is lost, no text message goes out twice, and of mail a second copy has
//! the name of the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blackbox::{Client, Setup};
use serde_json::json;
use testkit::fake::{Asked, Fake, Say};
use testkit::smtp::{SmtpServer, free_port};
use tokio::task::JoinSet;

const ROUNDS: u32 = 4;
const WRITERS: u32 = 4;

/// The account's messages: to whom, and what.
type Account = Arc<Mutex<Vec<(String, String)>>>;

/// Twilio as it documents itself: what is created is there to be looked through, whether or not anybody heard the answer.
fn twilio(account: &Account, asked: &Asked) -> Say {
    let mut all = account.lock().unwrap();
    let answer = |status, body: serde_json::Value| {
        Say::This(status, "content-type: application/json\r\n", body.to_string())
    };
    if asked.method == "POST" {
        all.push((asked.form("To").unwrap(), asked.form("Body").unwrap()));
        return answer(201, json!({"sid": format!("SM{}", all.len()), "status": "queued"}));
    }
    let wanted = reqwest::Url::parse(&format!("http://x{}", asked.path)).unwrap();
    let to = wanted.query_pairs().find(|(name, _)| name == "To").unwrap().1.into_owned();
    // After whatever was asked for.
    let created = "Fri, 01 Jan 2100 00:00:00 +0000";
    let shown: Vec<_> = all
        .iter()
        .enumerate()
        .filter(|(_, (number, _))| *number == to)
        .map(|(at, (_, body))| {
            json!({"sid": format!("SM{}", at + 1), "body": body, "date_created": created, "direction": "outbound-api"})
        })
        .collect();
    answer(200, json!({"messages": shown}))
}

/// Sends one after another until the connection breaks; gives the ids that were acknowledged, by what was said.
async fn write(client: Client, next: Arc<AtomicU32>) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let (channel, body) = if at.is_multiple_of(2) {
            ("sms", json!({"to": format!("+1555{at:07}"), "message": format!("Text {at}")}))
        } else {
            ("email", json!({"to": "a@example.com", "subject": format!("Mail {at}"), "body": "Come."}))
        };
        match client.try_call("POST", &format!("/api/notifications/{channel}"), Some(&body.to_string())).await
        {
            Ok(reply) if matches!(reply.status, 201 | 202) => {
                let said = if channel == "sms" { format!("Text {at}") } else { format!("Mail {at}") };
                acknowledged.push((reply.json()["notificationId"].as_str().unwrap().to_owned(), said));
            }
            Ok(reply) if matches!(reply.status, 429 | 503) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(reply) => panic!("{}: {} {}", reply.asked, reply.status, reply.text),
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_killed_again_and_again_loses_nothing_and_texts_nobody_twice() {
    let account = Account::default();
    let of_rule = Arc::clone(&account);
    let provider = Fake::start(0, move |asked| twilio(&of_rule, asked)).await;
    let mail = SmtpServer::start(free_port());
    let setup = Setup::new();
    let spec = format!(
        "integrations: {{ mail: {{ host: 127.0.0.1, port: {}, tls: None, from: \"Clinic <clinic@example.org>\" }}, \
         sms: {{ url: \"http://{}\", accountSid: AC1, authToken: {{ secret: twilio, key: token }}, from: \"+15550000000\" }} }}",
        mail.port(),
        provider.at
    );
    setup.edit("spec:\n", &format!("spec:\n  {spec}\n"));
    let secret = setup.data_path().join("secrets/twilio");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("token"), "a token").unwrap();
    let mut stack = setup.start().await;
    let (next, mut acknowledged) = (Arc::new(AtomicU32::new(0)), Vec::new());
    for round in 0..ROUNDS {
        let admin = stack.admin().await;
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(admin.clone(), Arc::clone(&next)));
        }
        // Killed at another moment in each round.
        tokio::time::sleep(Duration::from_millis(700 + u64::from(round) * 237)).await;
        let setup = stack.kill().await;
        while let Some(some) = writers.join_next().await {
            acknowledged.extend(some.unwrap());
        }
        stack = setup.start().await;
    }
    assert!(acknowledged.len() > 20, "{} were acknowledged", acknowledged.len());
    // What a killed process had in hand is tried again when its claim is over, after a minute.
    let admin = stack.admin().await;
    let is_done = async {
        loop {
            let queued = admin.call("GET", "/api/notifications?status=Queued&limit=1", None).await;
            if queued.status == 200 && queued.json()["items"] == json!([]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(3), is_done).await.expect("all goes out");

    let mut texts = BTreeMap::<String, u32>::new();
    account.lock().unwrap().iter().for_each(|(_, text)| *texts.entry(text.clone()).or_default() += 1);
    let twice: Vec<_> = texts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let mails = mail.mails();
    let mut names = BTreeMap::<&str, BTreeSet<&str>>::new();
    for mail in &mails {
        names.entry(mail.header("subject")).or_default().insert(mail.header("message-id"));
    }
    assert!(names.values().all(|names| names.len() == 1));
    for (id, said) in &acknowledged {
        assert!(texts.contains_key(said) || names.contains_key(said.as_str()), "{id} ({said}) is lost");
    }
    println!(
        "{} acknowledged, {} texts, {} mails of which {} once more, over {ROUNDS} kills",
        acknowledged.len(),
        texts.len(),
        mails.len(),
        mails.len() - names.len()
    );
}
