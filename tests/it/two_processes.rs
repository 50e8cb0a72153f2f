//! Two processes of the stack on one PostgreSQL database, of which one or the other is killed again and again: each does what is due, both do nothing twice,
//! and what one had in hand the other brings to its end.
//!
//! While both live, each mail comes once. A mail server cannot be asked what it has: of what a killed process had handed over and not yet noted a second
//! copy may come, under the first one's `Message-ID` (ADR 29), and no more than the process had in hand.

mod clinic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use blackbox::{Client, Healthcare, Reply, Setup};
use chrono::{DateTime, Utc};
use clinic::{Clinic, LEADS, PROVIDERS};
use contracts::ambient::Clock;
use serde_json::{Value, json};
use testkit::smtp::{SmtpServer, free_port};
use tokio::task::JoinSet;

const KILLS: u32 = 10;
const WRITERS: u32 = 2;
/// So many mails a process has in hand at most: sixteen of the queue, and what is being written through it.
const IN_HAND: u32 = 16 + WRITERS;
const WITHIN: Duration = Duration::from_mins(4);

/// Asks as often as the limits make it, and as long as nobody answers.
async fn call(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let body = body.map(Value::to_string);
    for _ in 0..600 {
        match client.try_call(method, path, body.as_deref()).await {
            Ok(reply) if !matches!(reply.status, 429 | 503) => return reply,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("{method} {path} is not answered");
}

/// Every item of a list.
async fn all(client: &Client, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = call(client, "GET", &format!("{path}?limit=200{cursor}"), None).await.expect(200).json();
        items.extend(page["items"].as_array().cloned().unwrap());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(WITHIN, waited).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item[field].as_str().unwrap_or_default()
}

/// The stack in a folder of its own, with the database and the mail server that the other one has.
fn setup(url: &str, mail: &SmtpServer) -> Setup {
    let setup = Setup::new().with_database(url);
    let spec = format!(
        "integrations: {{ mail: {{ host: 127.0.0.1, port: {}, tls: None, from: \"Clinic <clinic@example.org>\" }} }}",
        mail.port()
    );
    setup.edit("spec:\n", &format!("spec:\n  {spec}\n"));
    setup.edit("timeZone: Europe/Berlin", "timeZone: UTC");
    setup
}

/// Gives the second the secrets of the first, as two replicas on a cluster have them.
fn share_secrets(from: &Setup, to: &Setup) {
    std::fs::create_dir_all(to.data_path()).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from.data_path().join("secrets"), to.data_path().join("secrets")])
        .status();
    assert!(copied.unwrap().success());
}

/// Takes an offer with both at once: one of them is told that it is taken, and the other that nothing is offered.
async fn take_with_both(both: [&Client; 2], entry: &str) {
    let path = format!("/api/appointments/waitlist/{entry}/accept");
    let (one, other) = tokio::join!(call(both[0], "POST", &path, None), call(both[1], "POST", &path, None));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.text, other.text);
}

/// Sends one mail after another until the connection breaks; gives what was acknowledged.
async fn write(client: Client, next: Arc<AtomicU32>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let body =
            json!({"to": "a@example.com", "subject": format!("Mail {at}"), "body": "Come."}).to_string();
        match client.try_call("POST", "/api/notifications/email", Some(&body)).await {
            Ok(reply) if matches!(reply.status, 201 | 202) => {
                acknowledged.push(reply.json()["notificationId"].as_str().unwrap().to_owned());
            }
            Ok(reply) if matches!(reply.status, 429 | 503) => {}
            Ok(reply) => panic!("{}: {} {}", reply.asked, reply.status, reply.text),
            Err(_) => return acknowledged,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How often each notification's mail came.
fn copies(mail: &SmtpServer) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for mail in mail.mails() {
        let name = mail.header("message-id").trim_start_matches('<');
        let (id, _) = name.split_once('.').expect("a name and its signature");
        *copies.entry(id.to_owned()).or_default() += 1;
    }
    copies
}

/// Whether nothing is under way.
async fn all_went_out(client: &Client) -> bool {
    let queued = call(client, "GET", "/api/notifications?status=Queued&limit=1", None).await.expect(200);
    queued.json()["items"] == json!([])
}

/// Kills one and the other in turns while mails are written through it and times become free, and starts it again.
async fn kill_in_turns(clinic: &Clinic, mut stacks: Vec<Healthcare>) -> (Vec<Healthcare>, Vec<String>) {
    let (next, mut acknowledged) = (Arc::new(AtomicU32::new(0)), Vec::new());
    for round in 0..KILLS {
        let victim = stacks.remove(0);
        let (theirs, other) = (victim.admin().await, stacks[0].admin().await);
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(theirs.clone(), Arc::clone(&next)));
        }
        if let Some(provider) = (0..PROVIDERS).nth(round as usize) {
            clinic.free(&other, provider, 1).await;
        }
        // Killed at another moment in each round.
        tokio::time::sleep(Duration::from_millis(600) + Duration::from_millis(137) * round).await;
        let setup = victim.kill().await;
        while let Some(some) = writers.join_next().await {
            acknowledged.extend(some.unwrap());
        }
        stacks.push(setup.start().await);
    }
    (stacks, acknowledged)
}

/// Each that is told of once is there once, and what was told went out.
fn nothing_is_told_twice(told: &[Value]) {
    let mut once = BTreeSet::new();
    for item in told.iter().filter(|item| !text(item, "appointmentId").is_empty()) {
        let about = ["appointmentId", "type", "to", "sendAt"].map(|field| text(item, field).to_owned());
        assert!(once.insert(about), "told twice: {item}");
    }
}

/// Each time was offered to one: nobody declines, and no offer ends so soon.
fn no_time_is_offered_to_two(told: &[Value]) {
    let mut offered = BTreeMap::<&str, BTreeSet<&str>>::new();
    for item in told.iter().filter(|item| text(item, "type") == "waitlist") {
        let what = text(item, "body").split("It is held").next().unwrap_or_default();
        offered.entry(what).or_default().insert(text(item, "to"));
    }
    assert_eq!(offered.len(), PROVIDERS * 2, "{offered:#?}");
    let twice: Vec<_> = offered.iter().filter(|(_, to)| to.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

/// Each provider has each time once, and whoever took an offer one appointment.
async fn each_time_is_booked_once(client: &Client, booked: &[String]) {
    let appointments = all(client, "/api/appointments").await;
    let open: Vec<_> = appointments.iter().filter(|item| item["status"] != "Cancelled").collect();
    let mut taken = BTreeSet::new();
    for item in &open {
        let when = ["providerId", "appointmentDate", "timeSlot"].map(|field| text(item, field));
        assert!(taken.insert(when), "booked twice: {item}");
    }
    for patient in booked {
        assert_eq!(open.iter().filter(|item| text(item, "patientId") == patient).count(), 1, "{patient}");
    }
}

async fn until_the(at: DateTime<Utc>) {
    tokio::time::sleep((at - Clock::system().now()).to_std().unwrap_or_default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_lose_nothing_and_do_nothing_twice_while_one_is_killed() {
    let mail = SmtpServer::start(free_port());
    let url = testkit::engines::fresh_database().await;
    let first = setup(&url, &mail).start().await;
    let second = setup(&url, &mail);
    share_secrets(&first.setup, &second);
    let second = second.start().await;
    let both = [first.admin().await, second.admin().await];

    // Both live: whatever one is told, both work at, and each mail comes once.
    let clinic = Clinic::set_up([&both[0], &both[1]]).await;
    for provider in 0..PROVIDERS {
        clinic.free(&both[provider % 2], provider, 0).await;
    }
    let mut booked = Vec::new();
    for (patient, entry) in clinic.offered(&both[0], PROVIDERS).await {
        take_with_both([&both[0], &both[1]], &entry).await;
        booked.push(patient);
    }
    until_the(clinic.first_due()).await;
    until("the first reminders", async || {
        let sent = all(&both[1], "/api/notifications").await;
        let reminded =
            sent.iter().filter(|item| item["type"] == "reminder" && item["status"] == "Sent").count();
        reminded >= PROVIDERS && all_went_out(&both[0]).await
    })
    .await;
    let twice: Vec<_> = copies(&mail).into_iter().filter(|(_, copies)| *copies > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let before = mail.mails().len();

    // One or the other is killed, again and again.
    let (stacks, acknowledged) = kill_in_turns(&clinic, vec![first, second]).await;
    assert!(acknowledged.len() > KILLS as usize, "{} were acknowledged", acknowledged.len());
    let both = [stacks[0].admin().await, stacks[1].admin().await];
    for (patient, entry) in clinic.offered(&both[1], PROVIDERS).await {
        take_with_both([&both[1], &both[0]], &entry).await;
        booked.push(patient);
    }
    until_the(clinic.last_due()).await;
    // What a killed process had in hand is done by whoever finds it when its claim is over, after a minute.
    until("all goes out", async || {
        let told = all(&both[0], "/api/notifications").await;
        Clinic::reminders(&told).all(|item| item["status"] != "Scheduled") && all_went_out(&both[1]).await
    })
    .await;

    let told = all(&both[0], "/api/notifications").await;
    nothing_is_told_twice(&told);
    no_time_is_offered_to_two(&told);
    each_time_is_booked_once(&both[1], &booked).await;
    let due: Vec<_> = Clinic::reminders(&told).collect();
    assert_eq!(due.len(), PROVIDERS * LEADS.len());
    assert!(due.iter().all(|item| item["status"] == "Sent"), "{due:#?}");
    let came = copies(&mail);
    let sent = told.iter().filter(|item| item["status"] == "Sent").map(|item| text(item, "notificationId"));
    let lost: Vec<_> =
        sent.chain(acknowledged.iter().map(String::as_str)).filter(|id| !came.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let known: BTreeSet<_> = told.iter().map(|item| text(item, "notificationId")).collect();
    assert!(came.keys().all(|id| known.contains(id.as_str())), "what came is not known");
    let repeated = mail.mails().len() - came.len();
    assert!(repeated <= (KILLS * IN_HAND) as usize, "{repeated} copies came of {}", came.len());
    println!(
        "{} mails, {before} of them before the first of {KILLS} kills; {repeated} came once more; {} offers, each booked once",
        came.len(),
        booked.len()
    );
}
