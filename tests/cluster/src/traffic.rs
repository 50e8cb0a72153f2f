//! [`Traffic`]: callers who do not stop while a test changes something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use blackbox::Client;

/// Requests that are under way at once.
const CALLERS: usize = 4;
/// Each of them rests so long between two: below 27 requests a second in all, since gateways by default take 100 from one address, and each of three a third of them.
const REST: Duration = Duration::from_millis(150);
/// Of [`Traffic::sign_ins`]: so many that some are always being answered.
const SIGNING_IN: usize = 6;

/// Callers who do not stop. They have a thread and connections of their own, so that whatever the test waits for, they go on.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    callers: JoinHandle<Seen>,
}

/// What callers do.
struct Work {
    callers: usize,
    rest: Duration,
    method: &'static str,
    path: String,
    body: Option<String>,
}

/// What callers saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests that were answered as they should be.
    pub answered: usize,
    /// What else was answered, or how an answer failed to come, and when after the start.
    pub failed: Vec<(Duration, String)>,
    /// The longest that one request took.
    pub longest: Duration,
}

impl Traffic {
    /// `GET path` as this caller, over and over, where 200 is expected.
    ///
    /// # Panics
    /// If the thread cannot be started.
    pub fn start(caller: &Client, path: &str) -> Self {
        let work = Work { callers: CALLERS, rest: REST, method: "GET", path: path.to_owned(), body: None };
        Self::of(work, caller)
    }

    /// The administrator signs in, over and over. That takes the service a while each time, since a password is dear to check.
    ///
    /// # Panics
    /// If the thread cannot be started.
    pub fn sign_ins(caller: &Client, password: &str) -> Self {
        let body = serde_json::json!({"username": "admin", "password": password}).to_string();
        let work = Work {
            callers: SIGNING_IN,
            rest: Duration::ZERO,
            method: "POST",
            path: "/api/auth/login".to_owned(),
            body: Some(body),
        };
        Self::of(work, caller)
    }

    fn of(work: Work, caller: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, caller) = (Arc::clone(&stop), caller.clone());
        let callers = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let all = call(work, caller.on_connections_of_its_own(), flag);
            runtime.expect("a runtime").block_on(all)
        });
        Self { stop, callers }
    }

    /// Lets them finish, and tells what they saw.
    ///
    /// # Panics
    /// If they did.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join().expect("callers do not panic")
    }

    /// The same, where every request must have been answered as it should be.
    ///
    /// # Panics
    /// If one was not.
    #[track_caller]
    pub fn stop_unharmed(self) -> Seen {
        let seen = self.stop();
        assert!(
            seen.failed.is_empty(),
            "{} of {} failed: {:?}",
            seen.failed.len(),
            seen.total(),
            seen.failed
        );
        assert!(seen.answered > 0, "nobody called");
        seen
    }
}

impl Seen {
    fn total(&self) -> usize {
        self.answered + self.failed.len()
    }
}

async fn call(work: Work, caller: Client, stop: Arc<AtomicBool>) -> Seen {
    let begun = Instant::now();
    let work = Arc::new(work);
    let callers = (0..work.callers).map(|_| {
        let (caller, work, stop) = (caller.clone(), Arc::clone(&work), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let failure = match caller.try_call(work.method, &work.path, work.body.as_deref()).await {
                    Ok(reply) if reply.status == 200 => None,
                    Ok(reply) => Some(format!("{}: {}", reply.status, reply.text)),
                    Err(error) => Some(format!("{error:?}")),
                };
                seen.answered += usize::from(failure.is_none());
                seen.failed.extend(failure.map(|failure| (begun.elapsed(), failure)));
                seen.longest = seen.longest.max(asked.elapsed());
                tokio::time::sleep(work.rest).await;
            }
            seen
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut all = Seen::default();
    for caller in callers {
        let seen = caller.await.expect("a caller does not panic");
        all.answered += seen.answered;
        all.failed.extend(seen.failed);
        all.longest = all.longest.max(seen.longest);
    }
    all.failed.sort();
    all
}
