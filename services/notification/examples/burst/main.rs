//! So many mails or reminders due within a minute, handed on to a mail server on this machine: how long it takes, how late each is, and what it takes
//! in memory.
//!
//! ```sh
//! cargo run --release --package notification --example burst -- reminders 100000 sqlite
//! ```
//!
//! `mails` are ready when they are due. `reminders` are made ready then: peers are asked where somebody is reached, and texts are written. The service
//! runs as it is; the mail server and the peers are other processes, so that their memory is not counted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement ends with a panic, or prints")]

mod fill;
mod process;
mod stand_ins;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::ambient::Clock;
use db::{Db, Engine, on, sql};
use settings::{Address, Integrations, MailSettings, MailTls, Peer, ServiceName, ServiceSettings};
use testkit::TestStack;

use crate::process::{cpu_seconds, cpu_seconds_of_all, resident_mb};
use crate::stand_ins::StandIn;

/// So many are due a minute; fewer than that within a shorter time.
const A_MINUTE: i64 = 100_000;
/// From when the clock moves until the first is due, so that the jobs have looked what is next.
const AHEAD: TimeDelta = TimeDelta::seconds(6);
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.get(1).map(String::as_str) {
        Some("sink") => runtime.block_on(stand_ins::sink()),
        Some("peers") => runtime.block_on(stand_ins::peers()),
        what => {
            let count = args.get(2).and_then(|count| count.parse().ok()).unwrap_or(100_000);
            let is_postgres = args.get(3).is_some_and(|engine| engine == "postgres");
            let engine = if is_postgres { Engine::Postgres } else { Engine::Sqlite };
            runtime.block_on(measure(what == Some("reminders"), count, engine));
        }
    }
}

async fn measure(is_reminders: bool, count: u32, engine: Engine) {
    let (sink, peers) = (StandIn::start("sink"), StandIn::start("peers"));
    let stack =
        TestStack::start(engine, &[notification::SERVICE], |settings| change(settings, &sink, &peers)).await;
    let db = stack.database(ServiceName::NotificationService).db().clone();
    let (filled, first) = (Instant::now(), stack.clock.now() + AHEAD);
    let due: Vec<_> =
        (0..i64::from(count)).map(|at| first + TimeDelta::microseconds(at * 60_000_000 / A_MINUTE)).collect();
    if is_reminders {
        fill::reminders(&db, &due).await;
    } else {
        fill::mails(&db, &due).await;
    }
    println!("{count} written in {:.1} s", filled.elapsed().as_secs_f64());
    let ticking = tokio::spawn(tick(stack.clock.clone()));
    let looked =
        look(&db, (&stack.clock, first), [std::process::id(), sink.process.id(), peers.process.id()]).await;
    ticking.abort();
    looked.tell(count);
    tell("due to handed on", lateness(&db, is_reminders).await);
    stack.teardown().await;
}

fn change(settings: &mut ServiceSettings, sink: &StandIn, peers: &StandIn) {
    let mail = MailSettings {
        host: "127.0.0.1".to_owned(),
        port: sink.port,
        tls: MailTls::None,
        from: "Clinic <no-reply@clinic.example>".to_owned(),
        username: None,
        password: None,
        dkim: None,
    };
    let public_url = Some("https://clinic.example".to_owned());
    settings.integrations = Integrations { mail: Some(mail), public_url, ..Integrations::default() };
    for peer in [ServiceName::PatientService, ServiceName::ProviderService] {
        let address = Address(format!("http://127.0.0.1:{}", peers.port));
        settings.peers.insert(peer, Peer { address });
    }
}

/// The test's clock stands still unless somebody moves it.
async fn tick(clock: Clock) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let passed = last.elapsed();
        last += passed;
        clock.advance(TimeDelta::from_std(passed).unwrap());
    }
}

/// What was seen while it lasted.
struct Looked {
    took: Duration,
    /// How long the first one that nobody had claimed to make it ready, or to hand it on, was due, milliseconds.
    unclaimed: [Vec<i64>; 2],
    before_mb: f64,
    most_mb: f64,
    cpu: [f64; 3],
    postgres_cpu: f64,
}

async fn look(db: &Db, (clock, first): (&Clock, DateTime<Utc>), processes: [u32; 3]) -> Looked {
    while clock.now() < first {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (begun, before_mb) = (Instant::now(), resident_mb());
    let (cpu, postgres_cpu) = (processes.map(cpu_seconds), cpu_seconds_of_all("postgres"));
    let (mut most_mb, mut unclaimed) = (before_mb, [Vec::new(), Vec::new()]);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        most_mb = most_mb.max(resident_mb());
        let next = next(db).await;
        if next == [None, None] {
            break;
        }
        for (unclaimed, next) in unclaimed.iter_mut().zip(next) {
            unclaimed.extend(next.map(|next| (clock.now() - next).num_milliseconds().max(0)));
        }
    }
    let spent = |(before, process)| cpu_seconds(process) - before;
    let mut now = cpu.into_iter().zip(processes).map(spent);
    let cpu = [(); 3].map(|()| now.next().unwrap());
    let postgres_cpu = cpu_seconds_of_all("postgres") - postgres_cpu;
    Looked { took: begun.elapsed(), unclaimed, before_mb, most_mb, cpu, postgres_cpu }
}

impl Looked {
    fn tell(self, count: u32) {
        let took = self.took.as_secs_f64();
        println!("handed on in {took:.1} s, {:.0} a second", f64::from(count) / took);
        println!("resident, MB: {:.0} before, {:.0} at most", self.before_mb, self.most_mb);
        let ([service, sink, peers], postgres) = (self.cpu, self.postgres_cpu);
        println!(
            "processor, s: service {service:.0}, mail server {sink:.0}, peers {peers:.0}, database {postgres:.0}"
        );
        let [ready, hand_on] = self.unclaimed;
        tell("due to claimed to make it ready", ready);
        tell("ready to claimed to hand it on", hand_on);
    }
}

fn tell(what: &str, mut late: Vec<i64>) {
    late.sort_unstable();
    if let Some(last) = late.len().checked_sub(1) {
        let at = |share: usize| late[last * share / 1000];
        println!("{what}, ms: p50 {}, p99 {}, most {}", at(500), at(990), at(1000));
    }
}

/// When those that nobody has claimed are due that come next, to be made ready and to be handed on.
async fn next(db: &Db) -> [Option<DateTime<Utc>>; 2] {
    let mut tx = db.read().await.unwrap();
    let text = sql!(
        "select (select min(look_at) from notification), (select min(next_attempt_at) from notification)"
    );
    let (ready, hand_on) = on!(tx, |conn| sqlx::query_as(text).fetch_one(conn).await).unwrap();
    [ready, hand_on]
}

/// How long after it was due each was handed on, milliseconds.
async fn lateness(db: &Db, is_reminders: bool) -> Vec<i64> {
    type Times = Vec<(Option<DateTime<Utc>>, Option<DateTime<Utc>>, DateTime<Utc>)>;
    let mut tx = db.read().await.unwrap();
    let text = sql!("select send_at, replayed_at, sent_at from notification where status = 'Sent'");
    let times: Times = on!(tx, |conn| sqlx::query_as(text).fetch_all(conn).await).unwrap();
    let due = |planned: Option<DateTime<Utc>>, ready| if is_reminders { planned } else { ready }.unwrap();
    times.into_iter().map(|(planned, ready, sent)| (sent - due(planned, ready)).num_milliseconds()).collect()
}
