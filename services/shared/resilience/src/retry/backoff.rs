//! How long to wait before a repetition: exponential back-off with full jitter, and `Retry-After`.

use std::time::Duration;

/// Exponential back-off with full jitter: anything from nothing to a ceiling that doubles. Full, since half the jitter
/// is half the spread, and the spread is what keeps clients from returning in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling before the first repetition, milliseconds; doubles with each.
    pub base_ms: u64,
    /// The highest ceiling, milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// How long to wait before the repetition that follows `retries_made` earlier ones. `random` is uniform over all of `u64`.
    pub fn delay(&self, retries_made: u32, random: u64) -> Duration {
        let doubled = 2_u64.saturating_pow(retries_made);
        let ceiling = Duration::from_millis(self.base_ms.saturating_mul(doubled).min(self.max_ms));
        let ceiling_nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // A random fraction of the ceiling in fixed point: the upper half of a 128-bit product, always below 2^64.
        let nanos = (u128::from(random) * (u128::from(ceiling_nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Reads a `Retry-After` in delta-seconds (RFC 9110 §10.2.3). Its other form, an HTTP date, needs a wall clock, which nothing
/// here has; it is read as `None`, as is anything else.
pub fn parse_retry_after(value: &str) -> Option<Duration> {
    let digits = value.trim_matches([' ', '\t']);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Too large a number is still a wish to be left alone for long.
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff { base_ms: 50, max_ms: 1_000 };

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let ceilings: Vec<u128> = (0..7).map(|made| BACKOFF.delay(made, u64::MAX).as_millis()).collect();
        assert_eq!(ceilings, [50, 100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn the_jitter_is_spread_over_the_whole_range() {
        let delays = [0, 1 << 62, 1 << 63, u64::MAX].map(|random| BACKOFF.delay(1, random).as_millis());
        assert_eq!(delays, [0, 25, 50, 100]);
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(parse_retry_after("90"), Some(Duration::from_secs(90)));
        assert_eq!(parse_retry_after(" 0\t"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn what_is_no_number_of_seconds_says_nothing() {
        for value in ["", " ", "-1", "+1", "1.5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "１"] {
            assert_eq!(parse_retry_after(value), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_delay_is_above_the_maximum(base_ms: u64, max_ms: u64, retries_made: u32, random: u64) {
            let backoff = Backoff { base_ms, max_ms };
            prop_assert!(backoff.delay(retries_made, random) <= Duration::from_millis(max_ms));
        }
    }
}
