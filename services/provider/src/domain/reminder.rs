//! How long before its last day somebody is told that a credential ends: once for each of these.

use chrono::NaiveDate;

/// Days before the last, the most first.
pub const DAYS: [i64; 4] = [90, 60, 30, 7];

/// For which of [`DAYS`] a credential is due to be told of, if `told` is the last that it was told for.
pub fn due(today: NaiveDate, last: NaiveDate, told: Option<i64>) -> Option<i64> {
    let left = (last - today).num_days();
    let nearest = DAYS.into_iter().rev().find(|days| (0..=*days).contains(&left))?;
    told.is_none_or(|told| nearest < told).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        contracts::field::date(text).unwrap()
    }

    #[test]
    fn each_is_told_once_and_the_nearest_when_several_were_missed() {
        let last = day("2026-12-31");
        assert_eq!(due(day("2026-10-01"), last, None), None);
        assert_eq!(due(day("2026-10-02"), last, None), Some(90));
        assert_eq!(due(day("2026-10-02"), last, Some(90)), None);
        assert_eq!(due(day("2026-11-01"), last, Some(90)), Some(60));
        assert_eq!(due(day("2026-12-24"), last, Some(90)), Some(7));
        assert_eq!(due(day("2026-12-31"), last, Some(30)), Some(7));
        assert_eq!(due(day("2027-01-01"), last, Some(30)), None);
    }

    proptest! {
        #[test]
        fn looked_at_every_day_it_is_told_four_times_and_looked_at_now_and_then_not_more_often(
            ahead in 90i64..200, steps in proptest::collection::vec(1i64..40, 0..40)
        ) {
            let last = day("2026-12-31");
            let run = |days: &mut dyn Iterator<Item = i64>| {
                let mut told = Vec::new();
                for left in days {
                    let today = last - chrono::TimeDelta::days(left);
                    told.extend(due(today, last, told.last().copied()));
                }
                told
            };
            prop_assert_eq!(run(&mut (0..=ahead).rev()), DAYS.to_vec());
            let mut left = ahead;
            let mut now_and_then = steps.into_iter().map(|step| { left -= step; left });
            let told = run(&mut now_and_then);
            prop_assert!(told.windows(2).all(|pair| pair[0] > pair[1]));
        }
    }
}
