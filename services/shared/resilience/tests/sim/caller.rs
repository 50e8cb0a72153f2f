//! [`Caller`]: a gateway as far as it decides anything. What it does with one call is what `forward.rs` of the gateway does, without HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resilience::balance::{Balancer, Balancing, Share};
use resilience::breaker::{Breaker, BreakerConfig, State};
use resilience::health::{EjectionConfig, Failure, Health};
use resilience::retry::{Attempt, Backoff, Outcome, RetryBudget, RetryPolicy, Verdict, decide};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

use crate::dice::Dice;
use crate::host::{PORT, WELL};
use crate::ledger::{Came, Kind, Ledger};
use crate::{CALLERS, END, HOSTS};

pub(crate) const BUDGET_PERCENT: u32 = 20;
const DEADLINE: Duration = Duration::from_millis(400);
const CONNECT_MAX: Duration = Duration::from_millis(150);
const SLOW_START: Duration = Duration::from_millis(500);
/// A request each so often, by each caller.
const PACE: Duration = Duration::from_millis(5);
const POLICY: RetryPolicy = RetryPolicy { retries_max: 2, backoff: Backoff { base_ms: 5, max_ms: 20 } };
const BREAKER: BreakerConfig = BreakerConfig {
    failure_rate_percent: 50,
    window_calls: 20,
    min_calls: 10,
    consecutive_failures: 0,
    slow_call_ms: 200,
    open_ms: 500,
    half_open_calls: 2,
};
const EJECTION: EjectionConfig = EjectionConfig { failures: 5, unreached: 2, base_ms: 200, max_ms: 1_000 };

struct Endpoint {
    name: &'static str,
    breaker: Breaker,
    health: Health,
}

impl Endpoint {
    fn share(&self, now: Instant) -> Share {
        if self.breaker.admits(now) { self.health.share(now, SLOW_START) } else { Share::NONE }
    }
}

/// One gateway.
pub(crate) struct Caller {
    number: usize,
    strategy: Balancing,
    balancer: Balancer<Endpoint>,
    budget: RetryBudget,
    dice: Dice,
    ledger: Arc<Ledger>,
}

/// A call on its way.
#[derive(Clone, Copy)]
struct Call {
    id: u64,
    kind: Kind,
    deadline: Instant,
}

/// What one sending came to.
enum Sent {
    Answer(u8),
    Unreached,
    Silence,
}

/// How this story's callers pick: the three ways take turns.
pub(crate) fn strategy(seed: u64) -> Balancing {
    let strategies = [Balancing::RoundRobin, Balancing::LeastConnections, Balancing::PeakEwma];
    strategies[usize::try_from(seed).unwrap() % strategies.len()]
}

/// The simulation's time, as this caller has it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Caller {
    /// Calls until the end of the story.
    pub(crate) async fn run(number: usize, seed: u64, ledger: Arc<Ledger>) -> turmoil::Result {
        let endpoint = |name| Endpoint { name, breaker: Breaker::new(BREAKER), health: Health::new(now()) };
        let caller = Arc::new(Self {
            number,
            strategy: strategy(seed),
            balancer: Balancer::new(strategy(seed), HOSTS.map(endpoint), now()),
            budget: RetryBudget::new(BUDGET_PERCENT, RetryBudget::FLOOR_PER_SECOND, now()),
            dice: Dice::new(seed, number as u64),
            ledger,
        });
        let mut id = (number as u64) << 32;
        while turmoil::elapsed() < END {
            id += 1;
            tokio::task::spawn_local(Arc::clone(&caller).one(id));
            sleep(PACE).await;
        }
        sleep(DEADLINE * 2).await;
        caller.is_at_rest();
        Ok(())
    }

    /// One call, whose client may leave.
    async fn one(self: Arc<Self>, id: u64) {
        let kind = match self.dice.below(100) {
            0..60 => Kind::Read,
            60..75 => Kind::Keyed,
            _ => Kind::Write,
        };
        let patience = if self.dice.percent(5) { self.dice.millis(1..60) } else { Duration::MAX };
        let begun = now();
        self.ledger.begins(self.number, id, kind);
        let call = Call { id, kind, deadline: begun + DEADLINE };
        let came = timeout(patience, self.call(call)).await.unwrap_or(Came::Left);
        self.ledger.ends(self.number, id, came);
        if now() > call.deadline + Duration::from_millis(5) {
            self.ledger.broken(format!("call {id:x} ended after its deadline"));
        }
    }

    /// As often as is safe, allowed and in time.
    async fn call(&self, call: Call) -> Came {
        self.budget.deposit(now());
        let (mut avoid, mut retries_made) = (None, 0);
        loop {
            let outcome = match self.attempt(call, &mut avoid).await {
                Ok(outcome) => outcome,
                Err(came) => return came,
            };
            let attempt = Attempt {
                idempotent: call.kind != Kind::Write,
                retries_made,
                time_left: call.deadline.saturating_duration_since(now()),
            };
            let stands = match outcome {
                Outcome::Answered { status: 200, .. } => Came::Good,
                _ => Came::Bad,
            };
            let Verdict::Retry { after } = decide(&POLICY, attempt, outcome, self.dice.roll()) else {
                return stands;
            };
            if !self.budget.try_withdraw(now()) {
                self.ledger.denied(self.number);
                return stands;
            }
            retries_made += 1;
            self.ledger.retries(self.number);
            sleep(after).await;
        }
    }

    /// Picks, asks the breaker, sends and reports. An error ends the call.
    async fn attempt(&self, call: Call, avoid: &mut Option<usize>) -> Result<Outcome, Came> {
        let started = now();
        // A pause before a repetition ends with the timer's millisecond.
        if started >= call.deadline + Duration::from_millis(1) {
            self.ledger.broken(format!("call {:x} is sent after its deadline", call.id));
        }
        let share = |endpoint: &Endpoint| endpoint.share(started);
        let Some(pick) = self.balancer.pick_but(*avoid, started, self.dice.roll(), share) else {
            return Err(Came::Refused);
        };
        *avoid = Some(pick.index());
        let admits = |(endpoint, _): (&Endpoint, u32)| endpoint.breaker.admits(started);
        let permit = if pick.is_panic() && self.balancer.endpoints().any(admits) {
            pick.breaker.acquire_anyway(started)
        } else {
            pick.breaker.try_acquire(started).map_err(|_| Came::Refused)?
        };
        let mut probing = (pick.breaker.state() == State::HalfOpen).then(|| self.ledger.probing());
        let left = call.deadline.saturating_duration_since(started);
        let sent = timeout(left, send(pick.name, call.id)).await;
        if let Some(probing) = &mut probing {
            probing.is_over = true;
        }
        let now = now();
        let before = pick.breaker.state();
        let outcome = match sent {
            Ok(Sent::Answer(WELL)) => {
                pick.answered(now);
                pick.health.answered();
                permit.success(now, now - started);
                Ok(Outcome::Answered { status: 200, retry_after: None })
            }
            Ok(Sent::Answer(_)) => {
                pick.answered(now);
                pick.health.failed(now, Failure::BadAnswer, &EJECTION);
                permit.failure(now);
                Ok(Outcome::Answered { status: 503, retry_after: None })
            }
            Ok(Sent::Unreached) => {
                pick.health.failed(now, Failure::Unreached, &EJECTION);
                permit.failure(now);
                Ok(Outcome::NotSent)
            }
            Ok(Sent::Silence) => {
                pick.health.failed(now, Failure::Silent, &EJECTION);
                permit.failure(now);
                Ok(Outcome::NoAnswer)
            }
            Err(_) => {
                pick.answered(now);
                pick.health.failed(now, Failure::Silent, &EJECTION);
                permit.failure(now);
                Err(Came::Late)
            }
        };
        if before != State::Open && pick.breaker.state() == State::Open {
            self.ledger.opened(self.number);
        }
        outcome
    }

    /// After the last call nothing is held by anybody.
    fn is_at_rest(&self) {
        for (endpoint, in_flight) in self.balancer.endpoints() {
            let who = format!("{} at {}", endpoint.name, CALLERS[self.number]);
            if in_flight != 0 {
                self.ledger.broken(format!("{who} has {in_flight} calls under way, and there are none"));
            }
            if endpoint.health.share(now(), SLOW_START) != Share::FULL {
                self.ledger.broken(format!("{who} is well, and has not its whole share"));
            }
            let state = endpoint.breaker.state();
            // By latency, one that was slow is not yet asked for.
            let is_due = self.strategy == Balancing::PeakEwma && state == State::Open;
            if state != State::Closed && !(is_due && endpoint.breaker.admits(now())) {
                self.ledger.broken(format!("{who} is well, and its breaker is {state:?}"));
            }
        }
    }
}

async fn send(host: &str, id: u64) -> Sent {
    let Ok(Ok(mut stream)) = timeout(CONNECT_MAX, TcpStream::connect((host, PORT))).await else {
        return Sent::Unreached;
    };
    if stream.write_u64(id).await.is_err() {
        return Sent::Silence;
    }
    stream.read_u8().await.map_or(Sent::Silence, Sent::Answer)
}
