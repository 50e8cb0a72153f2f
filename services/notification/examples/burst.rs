//! So many mails due within a minute, handed on to a mail server on this machine: how long it takes, how late each is, and what it takes in memory.
//!
//! ```sh
//! cargo run --release --package notification --example burst -- 100000 sqlite
//! ```
//!
//! The server is another process, so that its memory is not counted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement ends with a panic, or prints")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use contracts::id::NotificationId;
use contracts::notifications::Channel;
use db::{Db, Engine, on, sql};
use notification::channels::Channels;
use notification::domain::notification::{Content, Draft};
use notification::jobs::deliver::{self, Delivery};
use notification::links::Links;
use notification::store::notification::{Start, notification_insert};
use settings::{Integrations, MailSettings, MailTls, ServiceName};
use testkit::TestDb;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const AT_ONCE: usize = 500;
/// They are due within so long.
const WITHIN: TimeDelta = TimeDelta::seconds(60);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.get(1).map(String::as_str) {
        Some("sink") => runtime.block_on(sink()),
        count => {
            let count = count.and_then(|count| count.parse().ok()).unwrap_or(100_000);
            let is_postgres = args.get(2).is_some_and(|engine| engine == "postgres");
            runtime.block_on(measure(count, if is_postgres { Engine::Postgres } else { Engine::Sqlite }));
        }
    }
}

/// A mail server that takes all.
async fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream));
    }
}

async fn take(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await?;
    let mut is_text = false;
    while let Some(line) = lines.next_line().await? {
        if is_text && line != "." {
            continue;
        }
        let is_end = std::mem::take(&mut is_text);
        is_text = !is_end && line.eq_ignore_ascii_case("DATA");
        write.write_all(if is_text { b"354 go on\r\n" } else { b"250 well\r\n" }).await?;
    }
    Ok(())
}

async fn measure(count: u32, engine: Engine) {
    let mut server =
        Command::new(std::env::current_exe().unwrap()).arg("sink").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    let told = server.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut port).unwrap();
    let test = TestDb::new(engine, ServiceName::NotificationService, &notification::MIGRATIONS).await;
    let test = Arc::new(test);
    let db = test.db();
    let filled = Instant::now();
    fill(db, count).await;
    println!("{count} written in {:.1} s", filled.elapsed().as_secs_f64());
    let mail = MailSettings {
        host: "127.0.0.1".to_owned(),
        port: port.trim().parse().unwrap(),
        tls: MailTls::None,
        from: "Clinic <no-reply@clinic.example>".to_owned(),
        username: None,
        password: None,
        dkim: None,
    };
    let settings = Integrations { mail: Some(mail), ..Integrations::default() };
    let channels = Channels::new(&settings, (test.secrets(), test.clock(), db.random())).unwrap();
    // The test's clock stands still unless somebody moves it.
    let moved = Arc::clone(&test);
    let ticking = tokio::spawn(async move {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let passed = last.elapsed();
            last += passed;
            moved.clock().advance(TimeDelta::from_std(passed).unwrap());
        }
    });
    let before = resident_mb();
    let begun = Instant::now();
    let running =
        tokio::spawn(deliver::run(Delivery::new(db.clone(), channels, Links::new(db.clone(), None, &[]))));
    let mut most = before;
    while waiting(db).await > 0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        most = most.max(resident_mb());
    }
    let took = begun.elapsed().as_secs_f64();
    println!("handed on in {took:.1} s, {:.0} a second", f64::from(count) / took);
    let mut late = lateness(db).await;
    late.sort_unstable();
    let at = |share: usize| late[(late.len() - 1) * share / 1000];
    println!("late, ms: p50 {}, p99 {}, most {}", at(500), at(990), at(1000));
    println!("resident, MB: {before:.0} before, {most:.0} at most");
    running.abort();
    ticking.abort();
    server.kill().unwrap();
    server.wait().unwrap();
}

/// When each is due stands where a replay's time would, so that it can be told afterwards.
async fn fill(db: &Db, count: u32) {
    let draft = Draft {
        channel: Channel::Email,
        content: Content {
            to: "johndoe@example.com".to_owned(),
            subject: Some("Appointment Reminder".to_owned()),
            body: "This is a reminder for your appointment scheduled for August 1, 2024, at 10:00 AM."
                .to_owned(),
            ..Content::default()
        },
        patient: None,
    };
    let all: Vec<u32> = (0..count).collect();
    for some in all.chunks(AT_ONCE) {
        let mut tx = db.begin().await.unwrap();
        for at in some {
            let id = NotificationId::generate(db.random());
            notification_insert(&mut tx, db, &id, &draft, &Start::Due).await.unwrap();
            let due = tx.now() + WITHIN * i32::try_from(*at).unwrap() / i32::try_from(count).unwrap();
            let text = sql!("update notification set next_attempt_at = $1, replayed_at = $1 where id = $2");
            on!(tx, |conn| sqlx::query(text).bind(due).bind(id.as_str()).execute(conn).await.map(drop))
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
}

async fn waiting(db: &Db) -> i64 {
    let mut tx = db.read().await.unwrap();
    let text = sql!("select count(*) from notification where next_attempt_at is not null");
    on!(tx, |conn| sqlx::query_scalar(text).fetch_one(conn).await).unwrap()
}

/// How long after it was due each was handed on, milliseconds.
async fn lateness(db: &Db) -> Vec<i64> {
    type Times = Vec<(chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>)>;
    let mut tx = db.read().await.unwrap();
    let text = sql!("select replayed_at, sent_at from notification where status = 'Sent'");
    let times: Times = on!(tx, |conn| sqlx::query_as(text).fetch_all(conn).await).unwrap();
    times.iter().map(|(due, sent)| (*sent - *due).num_milliseconds()).collect()
}

/// What this process has in memory.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
