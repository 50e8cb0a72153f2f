//! [`Traffic`]: callers who do not stop while a test changes something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use blackbox::Client;

/// Requests that are under way at once.
const CALLERS: usize = 4;
/// Each of them rests so long between two: below 80 requests a second in all, since a gateway by default takes 100 from one address.
const REST: Duration = Duration::from_millis(50);

/// Callers who do not stop. They have a thread and connections of their own, so that whatever the test waits for, they go on.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    callers: JoinHandle<Seen>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, caller, path) = (Arc::clone(&stop), caller.clone(), path.to_owned());
        let callers = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(call(caller.on_connections_of_its_own(), path, flag))
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

async fn call(caller: Client, path: String, stop: Arc<AtomicBool>) -> Seen {
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (caller, path, stop) = (caller.clone(), path.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let failure = match caller.try_call("GET", &path, None).await {
                    Ok(reply) if reply.status == 200 => None,
                    Ok(reply) => Some(format!("{}: {}", reply.status, reply.text)),
                    Err(error) => Some(format!("{error:?}")),
                };
                seen.answered += usize::from(failure.is_none());
                seen.failed.extend(failure.map(|failure| (begun.elapsed(), failure)));
                seen.longest = seen.longest.max(asked.elapsed());
                tokio::time::sleep(REST).await;
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
