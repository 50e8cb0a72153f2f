//! [`age`]: how long ago, as kubectl writes it.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// An instant of the Kubernetes API.
pub(crate) fn instant(time: &Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.0.as_second(), 0)
}

/// How long ago that was: two units at most, as `kubectl get` has it.
pub(crate) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        120..7_200 => format!("{minutes}m"),
        7_200..36_000 if minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        7_200..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_age_has_two_units_at_most() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (130, "2m10s"),
            (600, "10m"),
            (7_300, "2h1m"),
            (40_000, "11h"),
            (172_800, "2d"),
            (100_000_000, "1157d"),
        ] {
            assert_eq!(age(now - TimeDelta::seconds(seconds), now), expected);
        }
    }
}
