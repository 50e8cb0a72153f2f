//! A request's deadline: what whoever asks says of it, and handlers that are stopped there.
//!
//! Stopped, a handler is dropped, and its transaction with it, which rolls back. One that has begun to commit is not: it is waited for, so
//! that a write that has happened is never told as one that has not.

use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use contracts::deadline::{HEADER, current, is_held, parse, within};
use http::request::Parts;

use crate::call::header;

/// When whoever asks waits no longer.
pub(crate) fn told(parts: &Parts, started: Instant) -> Option<Instant> {
    header(parts, HEADER).and_then(|value| parse(value.as_bytes())).map(|left| started + left)
}

/// Does the work that is under way for a request; `None` if the request's deadline came first.
pub(crate) async fn keep<F: Future>(work: F) -> Option<F::Output> {
    let Some(until) = current() else { return Some(work.await) };
    if until <= Instant::now() {
        return None;
    }
    let stopped = async move {
        let mut work = pin!(work);
        let mut timer = pin!(tokio::time::sleep_until(until.into()));
        let mut is_over = false;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if !is_over && timer.as_mut().poll(cx).is_ready() {
                is_over = true;
            }
            if is_over && !is_held() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    };
    within(Some(until), stopped).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contracts::deadline::hold;

    use super::*;

    /// What comes of work that takes long, and calls this in the middle.
    async fn long(left: Duration, in_the_middle: fn()) -> Option<&'static str> {
        let work = async {
            in_the_middle();
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        };
        within(Some(Instant::now() + left), keep(work)).await
    }

    #[tokio::test]
    async fn a_commit_under_way_is_waited_for_and_nothing_else_is() {
        assert_eq!(long(Duration::from_millis(20), || ()).await, None);
        assert_eq!(long(Duration::from_millis(20), hold).await, Some("done"));
        assert_eq!(long(Duration::from_mins(1), || ()).await, Some("done"));
        assert_eq!(long(Duration::ZERO, hold).await, None, "it is not begun");
    }

    #[tokio::test]
    async fn a_commit_of_what_went_before_holds_nothing() {
        let until = Instant::now() + Duration::from_millis(20);
        let stopped = within(Some(until), async {
            hold();
            keep(std::future::pending::<()>()).await
        });
        assert_eq!(stopped.await, None);
    }
}
