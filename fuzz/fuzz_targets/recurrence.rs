//! Rules of recurrence, as a series brings them: whatever is written gives a few times in order, or is refused.
#![no_main]

use appointment::domain::recurrence::Recurrence;
use chrono::DateTime;
use chrono_tz::Tz;
use contracts::series::OCCURRENCES_MAX;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u16, u8, &str)| {
    let (day, minute, zone, text) = input;
    let start = DateTime::UNIX_EPOCH.naive_utc()
        + chrono::TimeDelta::days(i64::from(day))
        + chrono::TimeDelta::minutes(i64::from(minute % 1440));
    let zone = [Tz::UTC, Tz::Europe__Berlin, Tz::Pacific__Apia, Tz::Australia__Lord_Howe][usize::from(zone % 4)];
    let Ok(rule) = Recurrence::parse(text) else { return };
    if let Ok(times) = rule.times(start, zone) {
        assert!((1..=usize::from(OCCURRENCES_MAX)).contains(&times.len()));
        assert!(times[0] >= start && times.windows(2).all(|pair| pair[0] < pair[1]));
    }
});
