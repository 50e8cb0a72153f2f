//! [`Late`]: how far a client's body is behind what is asked of every body: so many bytes a second, and some seconds on top.
//!
//! Only time in which somebody waits for the client counts. Where a service is slow to take what came, nobody asks for more, and nobody is late.
//! That is what Apache's `RequestReadTimeout` does with its `MinRate`, but a body that comes fast at first saves nothing up: else a large one could
//! hold its place for minutes at its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// So far behind, a client is given up. As long as a phone needs to find its network again, and as most routes have in all.
const BEHIND_MAX: Duration = Duration::from_secs(5);
/// The slowest networks that are still in use (GPRS) carry twice as much. A body that comes just so fast takes its route's `timeoutMs`.
const BYTES_A_SECOND: u64 = 1_024;

/// A body's.
#[derive(Debug, Default)]
pub(crate) struct Late {
    behind: Duration,
    /// Since when the next bytes are waited for.
    since: Option<Instant>,
    /// Set anew only when it fires too early.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Late {
    /// Bytes came, which make up for some of it. Answers when, if they were waited for.
    pub(crate) fn came(&mut self, bytes: u64) -> Option<Instant> {
        let waited = self.since.take().map(|since| (since, Instant::now()));
        if let Some((since, now)) = waited {
            self.behind += now.saturating_duration_since(since);
        }
        if !self.behind.is_zero() {
            let made_up = Duration::from_nanos(bytes.saturating_mul(1_000_000_000 / BYTES_A_SECOND));
            self.behind = self.behind.saturating_sub(made_up);
        }
        waited.map(|(_, now)| now)
    }

    /// Nothing has come by `now`. Ready when that is for too long, or before, at `look`: whether it is too long.
    pub(crate) fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        look: Option<Instant>,
    ) -> Poll<bool> {
        let due = *self.since.get_or_insert(now) + BEHIND_MAX.saturating_sub(self.behind);
        let next = look.map_or(due, |look| look.min(due));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
        if timer.deadline() > next {
            timer.as_mut().reset(next);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= next {
                return Poll::Ready(next >= due);
            }
            timer.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Waits for the next bytes, unless it takes too long.
    async fn waits(late: &mut Late, time: Duration, bytes: u64) -> bool {
        let is_over = timeout(time, poll_fn(|cx| late.poll_over(cx, Instant::now(), None))).await.is_ok();
        late.came(bytes);
        !is_over
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_is_given_up_after_some_seconds() {
        let (mut late, since) = (Late::default(), Instant::now());
        assert!(!waits(&mut late, Duration::from_mins(1), 0).await);
        assert_eq!(since.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_as_much_as_is_asked_may_go_on_for_ever() {
        let mut late = Late::default();
        for _ in 0..1_000 {
            assert!(waits(&mut late, Duration::from_secs(4), 4 * BYTES_A_SECOND + 4_096).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_half_of_it_is_given_up_after_twice_as_long() {
        let (mut late, since) = (Late::default(), Instant::now());
        while waits(&mut late, Duration::from_secs(1), BYTES_A_SECOND / 2).await {}
        assert_eq!(since.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_may_look_in_before() {
        let (mut late, start) = (Late::default(), Instant::now());
        let look = Some(start + Duration::from_secs(1));
        assert!(!poll_fn(|cx| late.poll_over(cx, Instant::now(), look)).await);
        assert_eq!(start.elapsed().as_secs(), 1);
        assert!(poll_fn(|cx| late.poll_over(cx, Instant::now(), None)).await);
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_fast_saves_nothing_up() {
        let mut late = Late::default();
        late.came(100 << 20);
        assert!(!waits(&mut late, Duration::from_secs(6), 0).await);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_is_nobodys() {
        let mut late = Late::default();
        for _ in 0..10 {
            assert!(waits(&mut late, Duration::from_millis(400), 1).await);
            sleep(Duration::from_mins(1)).await;
        }
        assert!(!waits(&mut late, Duration::from_secs(2), 1).await);
    }
}
