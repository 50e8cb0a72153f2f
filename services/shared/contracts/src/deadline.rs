//! How long whoever asked still waits: what one part tells the next, so that nobody works on an answer that nobody takes any more.
//!
//! `X-Request-Timeout-Ms: 4870` is gRPC's `grpc-timeout` without its letter: a length of time and not an instant, since two machines' clocks
//! differ by more than a request takes. It is rounded down, so that whoever is asked gives up first and still says so. A claim that
//! cannot be read is none, and a claim only ever shortens: nobody gets more time by asking for it.

#[cfg(feature = "deadline")]
use std::cell::Cell;
use std::time::Duration;
#[cfg(feature = "deadline")]
use std::time::Instant;

/// The header, in HTTP/2's small letters.
pub const HEADER: &str = "x-request-timeout-ms";

/// The longest time that can be said: eight digits, as in gRPC; a little more than a day.
pub const MAX: Duration = Duration::from_millis(99_999_999);

const DIGITS_MAX: usize = 8;

/// The header's value for so much time: whole milliseconds, rounded down.
pub fn millis(left: Duration) -> u64 {
    u64::try_from(left.min(MAX).as_millis()).unwrap_or(u64::MAX)
}

/// Reads a header's value: one to eight digits and nothing else.
pub fn parse(value: &[u8]) -> Option<Duration> {
    if !(1..=DIGITS_MAX).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(Duration::from_millis(millis))
}

#[cfg(feature = "deadline")]
tokio::task_local! {
    static CURRENT: Scope;
}

/// Work with a deadline.
#[cfg(feature = "deadline")]
struct Scope {
    until: Option<Instant>,
    is_held: Cell<bool>,
}

/// When the answer that is being worked on is of no use any more, if whoever asked has said so.
#[cfg(feature = "deadline")]
pub fn current() -> Option<Instant> {
    CURRENT.try_with(|scope| scope.until).ok().flatten()
}

/// Does work whose calls to others are to end by then. It does not end the work itself.
#[cfg(feature = "deadline")]
pub async fn within<F: Future>(until: Option<Instant>, work: F) -> F::Output {
    CURRENT.scope(Scope { until, is_held: Cell::new(false) }, work).await
}

/// From here on the work is not to be dropped at its deadline: a commit is under way, and whoever asked is to hear how it ended.
#[cfg(feature = "deadline")]
pub fn hold() {
    let _ = CURRENT.try_with(|scope| scope.is_held.set(true));
}

/// Whether the work has called [`hold`].
#[cfg(feature = "deadline")]
pub fn is_held() -> bool {
    CURRENT.try_with(|scope| scope.is_held.get()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_reads_back_as_it_was_written_and_never_longer(micros in 0..=200_000_000_000_u64) {
            let left = Duration::from_micros(micros);
            let read = parse(millis(left).to_string().as_bytes()).unwrap();
            prop_assert!(read <= left);
            prop_assert!(left > MAX || left < read + Duration::from_millis(1));
        }

        #[test]
        fn whatever_is_claimed_is_a_time_within_bounds_or_nothing(value in prop::collection::vec(any::<u8>(), 0..12)) {
            let digits = !value.is_empty() && value.len() <= 8 && value.iter().all(u8::is_ascii_digit);
            let read = parse(&value);
            prop_assert_eq!(read.is_some(), digits);
            prop_assert!(read.is_none_or(|left| left <= MAX));
        }
    }

    #[test]
    fn signs_units_and_spaces_are_no_time() {
        for odd in ["", "-1", "+1", "1.5", "5S", " 5", "5 ", "0x10", "123456789", "१"] {
            assert_eq!(parse(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(parse(b"0"), Some(Duration::ZERO));
        assert_eq!(parse(b"00004870"), Some(Duration::from_millis(4870)));
    }

    #[cfg(feature = "deadline")]
    #[tokio::test]
    async fn work_knows_its_deadline_and_what_comes_after_it_does_not() {
        let until = Instant::now() + Duration::from_secs(1);
        assert_eq!(current(), None);
        assert_eq!(within(Some(until), async { current() }).await, Some(until));
        assert_eq!(current(), None);
    }
    #[cfg(feature = "deadline")]
    #[tokio::test]
    async fn work_is_held_from_where_it_says_so_and_no_other_is() {
        within(None, async {
            assert!(!is_held());
            within(None, async { hold() }).await;
            assert!(!is_held(), "that was another's");
            hold();
            assert!(is_held());
        })
        .await;
        hold();
        assert!(!is_held(), "outside of all work there is nothing to hold");
    }
}
