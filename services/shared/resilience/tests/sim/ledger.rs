//! [`Ledger`]: what happened, whoever did it, and the rules that it must not break:
//!
//! - of requests there are no more repetitions than the budget's share and its floor;
//! - a write without a key arrives once at most, and what is not answered is not said to be;
//! - nothing is sent, and nobody waits, after the deadline;
//! - a host that is always well gets work in every second, whatever happens to the others;
//! - when all hosts are well again, so are all calls, every breaker is closed or would close if anybody asked,
//!   every host has its whole share, and nobody holds anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use resilience::balance::Balancing;
use resilience::retry::RetryBudget;

use crate::caller::{BUDGET_PERCENT, strategy};
use crate::host::Mood;
use crate::weather::spared;
use crate::{CALLERS, END, HOSTS, SETTLE, STORM};

/// What is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Safe to repeat.
    Read,
    /// A write that carries a key, so safe to repeat.
    Keyed,
    /// A write that is not.
    Write,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Good,
    Bad,
    Late,
    /// By a breaker.
    Refused,
    /// Its client did not wait.
    Left,
}

/// What a story comes to.
pub(crate) struct Told {
    pub(crate) broken: Vec<String>,
    pub(crate) digest: u64,
    pub(crate) retries: usize,
    pub(crate) denied: usize,
    pub(crate) opened: usize,
    pub(crate) refused: usize,
    pub(crate) late: usize,
    pub(crate) left: usize,
    pub(crate) left_probing: usize,
}

/// All that happened.
pub(crate) struct Ledger {
    seed: u64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    moods: BTreeMap<usize, Mood>,
    calls: BTreeMap<u64, Entry>,
    /// Arrivals by caller, host and second.
    arrivals: BTreeMap<(usize, usize, u64), usize>,
    tallies: BTreeMap<usize, Tally>,
    left_probing: usize,
    broken: Vec<String>,
    digest: u64,
}

struct Entry {
    kind: Kind,
    begun: Duration,
    arrived: usize,
}

/// One caller's.
#[derive(Default)]
struct Tally {
    requests: usize,
    retries: usize,
    denied: usize,
    opened: usize,
    came: BTreeMap<&'static str, usize>,
}

/// A call that probes a breaker; noted if it is dropped before it is over.
pub(crate) struct Probing {
    ledger: Arc<Ledger>,
    pub(crate) is_over: bool,
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.ledger.book.lock().unwrap().left_probing += usize::from(!self.is_over);
    }
}

fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, book: Mutex::default() }
    }

    pub(crate) fn mood(&self, host: usize) -> Mood {
        self.book.lock().unwrap().moods.get(&host).copied().unwrap_or(Mood::Well)
    }

    pub(crate) fn set_mood(&self, host: usize, mood: Mood) {
        self.book.lock().unwrap().moods.insert(host, mood);
    }

    pub(crate) fn begins(&self, caller: usize, id: u64, kind: Kind) {
        let mut book = self.book.lock().unwrap();
        book.tallies.entry(caller).or_default().requests += 1;
        book.calls.insert(id, Entry { kind, begun: elapsed(), arrived: 0 });
    }

    pub(crate) fn arrived(&self, host: usize, id: u64) {
        let mut book = self.book.lock().unwrap();
        book.note(&[1, host as u64, id]);
        let caller = usize::try_from(id >> 32).unwrap();
        *book.arrivals.entry((caller, host, elapsed().as_secs())).or_default() += 1;
        let entry = book.calls.get_mut(&id).unwrap();
        entry.arrived += 1;
        if entry.kind == Kind::Write && entry.arrived > 1 {
            self.breaks(&mut book, &format!("the write {id:x} arrived twice"));
        }
    }

    pub(crate) fn ends(&self, caller: usize, id: u64, came: Came) {
        let mut book = self.book.lock().unwrap();
        book.note(&[2, id, came as u64]);
        let name = match came {
            Came::Good => "good",
            Came::Bad => "bad",
            Came::Late => "late",
            Came::Refused => "refused",
            Came::Left => "left",
        };
        *book.tallies.entry(caller).or_default().came.entry(name).or_default() += 1;
        let entry = &book.calls[&id];
        let (begun, arrived) = (entry.begun, entry.arrived);
        if came == Came::Good && arrived == 0 {
            self.breaks(&mut book, &format!("call {id:x} was answered and never arrived"));
        }
        if begun >= STORM + SETTLE && !matches!(came, Came::Good | Came::Left) {
            self.breaks(&mut book, &format!("all are well at {begun:?}, and call {id:x} came to {came:?}"));
        }
    }

    /// Leave for a repetition was given: is that still few?
    pub(crate) fn retries(&self, caller: usize) {
        let mut book = self.book.lock().unwrap();
        let seconds = usize::try_from(elapsed().as_secs()).unwrap() + 1;
        let tally = book.tallies.entry(caller).or_default();
        tally.retries += 1;
        let (requests, retries) = (tally.requests, tally.retries);
        let floor = seconds * RetryBudget::FLOOR_PER_SECOND as usize;
        if retries > requests * BUDGET_PERCENT as usize / 100 + floor {
            self.breaks(&mut book, &format!("{retries} repetitions of {requests} requests in {seconds} s"));
        }
    }

    pub(crate) fn denied(&self, caller: usize) {
        self.book.lock().unwrap().tallies.entry(caller).or_default().denied += 1;
    }

    pub(crate) fn opened(&self, caller: usize) {
        self.book.lock().unwrap().tallies.entry(caller).or_default().opened += 1;
    }

    /// A call probes a breaker, until that is dropped.
    pub(crate) fn probing(self: &Arc<Self>) -> Probing {
        Probing { ledger: Arc::clone(self), is_over: false }
    }

    /// A rule was broken.
    pub(crate) fn broken(&self, what: String) {
        self.breaks(&mut self.book.lock().unwrap(), &what);
    }

    fn breaks(&self, book: &mut Book, what: &str) {
        book.broken.push(format!("seed {} at {:?}: {what}", self.seed, elapsed()));
    }

    /// What it comes to, in the end.
    pub(crate) fn told(&self) -> Told {
        let mut book = self.book.lock().unwrap();
        self.nobody_starves(&mut book);
        let came =
            |name: &str| -> usize { book.tallies.values().filter_map(|tally| tally.came.get(name)).sum() };
        let sum = |of: fn(&Tally) -> usize| -> usize { book.tallies.values().map(of).sum() };
        Told {
            broken: book.broken.clone(),
            digest: book.digest,
            retries: sum(|tally| tally.retries),
            denied: sum(|tally| tally.denied),
            opened: sum(|tally| tally.opened),
            refused: came("refused"),
            late: came("late"),
            left: came("left"),
            left_probing: book.left_probing,
        }
    }

    fn nobody_starves(&self, book: &mut Book) {
        let spared = (!self.seed.is_multiple_of(4)).then(|| spared(self.seed));
        // By latency, one that was slow is left alone for longer than this lasts.
        let is_even = strategy(self.seed) != Balancing::PeakEwma;
        for (caller, name) in CALLERS.into_iter().enumerate() {
            for second in 0..END.as_secs() {
                let got: Vec<usize> = (0..HOSTS.len())
                    .map(|host| *book.arrivals.get(&(caller, host, second)).unwrap_or(&0))
                    .collect();
                let is_calm = Duration::from_secs(second) >= STORM + SETTLE;
                let fair = if is_calm && is_even { got.iter().sum::<usize>() / HOSTS.len() / 2 } else { 0 };
                for (host, got) in got.into_iter().enumerate() {
                    if got < fair || (got == 0 && spared == Some(host)) {
                        let host = HOSTS[host];
                        self.breaks(
                            book,
                            &format!("{host} is well and had {got} calls of {name} in second {second}"),
                        );
                    }
                }
            }
        }
        if book.tallies.len() != CALLERS.len() {
            self.breaks(book, "not everybody called");
        }
    }
}

impl Book {
    /// FNV-1a over all that happens, and when.
    fn note(&mut self, what: &[u64]) {
        let at = u64::try_from(elapsed().as_micros()).unwrap();
        for value in what.iter().chain([&at]) {
            self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
