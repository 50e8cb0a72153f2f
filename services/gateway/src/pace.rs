//! [`Pace`]: how long a route's requests may take: in all, each attempt, and before a read is made a second time.

use std::time::{Duration, Instant};

use contracts::deadline;
use http::{HeaderName, HeaderValue};
use resilience::retry::RetryBudget;

/// How long whoever asks still waits.
pub(crate) const TIME_LEFT: HeaderName = HeaderName::from_static(deadline::HEADER);

/// A route's times, ready.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) timeout: Duration,
    /// What a service is told with the first attempt, which follows the request's head at once.
    pub(crate) told: HeaderValue,
    pub(crate) per_try: Option<Duration>,
    pub(crate) hedging: Option<Box<Hedging>>,
}

/// When a read is made a second time.
#[derive(Debug)]
pub(crate) struct Hedging {
    pub(crate) after: Duration,
    /// Without a floor: the share is a promise to the service.
    pub(crate) budget: RetryBudget,
}

/// One request's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// When its head was there.
    pub(crate) begun: Instant,
    pub(crate) deadline: Instant,
    /// The deadline is the client's own, and sooner than the route's. That it passes says nothing of the service.
    pub(crate) is_hurried: bool,
}

impl Pace {
    pub(crate) fn of(route: &settings::Route) -> Self {
        let timeout = Duration::from_millis(route.timeout_ms);
        let hedging = |hedge: settings::Hedge| {
            let after = Duration::from_millis(hedge.after_ms);
            Box::new(Hedging { after, budget: RetryBudget::new(hedge.percent_max, 0, Instant::now()) })
        };
        Self {
            timeout,
            told: told(timeout),
            per_try: route.retries.and_then(|retries| retries.per_try_ms).map(Duration::from_millis),
            hedging: route.hedge.map(hedging),
        }
    }

    /// The request's time, which counts from its head. A client that claims to wait less long is not kept waiting, but what it says goes no
    /// further: services that were told would run out of time at each other, and rest each other for it.
    pub(crate) fn begin(&self, claim: Option<&HeaderValue>, begun: Instant) -> Time {
        let claim = claim.and_then(|claim| deadline::parse(claim.as_bytes()));
        let deadline = begun + self.timeout;
        match claim {
            Some(claim) if claim < self.timeout => Time { begun, deadline: begun + claim, is_hurried: true },
            _ => Time { begun, deadline, is_hurried: false },
        }
    }

    /// What a service is told with a later attempt: what is left by then.
    pub(crate) fn left(&self, begun: Instant) -> HeaderValue {
        told(self.timeout.saturating_sub(begun.elapsed()))
    }
}

/// Somewhat less than there is, so that it is the service that gives up first: it then rolls back and says so, instead of being cut off.
fn told(left: Duration) -> HeaderValue {
    let margin = (left / 50).max(MARGIN_MIN).min(left / 2);
    HeaderValue::from(deadline::millis(left.saturating_sub(margin)))
}

/// An answer needs so long to come.
const MARGIN_MIN: Duration = Duration::from_millis(10);

/// Longer than any pause that a person would take for one.
const HEDGE_MS_MAX: u64 = 60_000;

/// Tells what is wrong with a route's times.
pub(crate) fn check(route: &settings::Route, mut fault: impl FnMut(&str, String)) {
    let timeout = route.timeout_ms;
    if let Some(per_try) = route.retries.and_then(|retries| retries.per_try_ms)
        && !(1..=timeout).contains(&per_try)
    {
        fault("retries.perTryMs", format!("must be from 1 to timeoutMs ({timeout})"));
    }
    let Some(hedge) = route.hedge else { return };
    if route.method != settings::Method::Get {
        fault("hedge", "is for reads alone: a write is never made twice at once".to_owned());
    }
    if !(1..=HEDGE_MS_MAX.min(timeout)).contains(&hedge.after_ms) {
        fault(
            "hedge.afterMs",
            format!("must be from 1 to timeoutMs ({timeout}), and {HEDGE_MS_MAX} at most"),
        );
    }
    if !(1..=100).contains(&hedge.percent_max) {
        fault("hedge.percentMax", "must be from 1 to 100".to_owned());
    }
}
