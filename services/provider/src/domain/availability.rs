//! The hours of a week in which a provider can be booked.

use contracts::hours::Hours;
use contracts::problem::Faults;
use contracts::providers::{Day, DayAvailability};
use serde::{Deserialize, Serialize};

const DAYS_MAX: usize = 7;
const SLOTS_PER_DAY_MAX: usize = 48;

/// One day of every week, with hours that do not overlap; in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayHours {
    /// Which day.
    pub day: Day,
    /// From when to when.
    pub slots: Vec<Hours>,
}

impl DayHours {
    /// As the API shows it.
    pub fn view(&self) -> DayAvailability {
        DayAvailability { day: self.day, slots: self.slots.iter().map(ToString::to_string).collect() }
    }
}

/// Reads `availability`: each day once; what is wrong goes to `faults`.
pub fn parse(days: &[DayAvailability], faults: &mut Faults) -> Option<Vec<DayHours>> {
    if days.len() > DAYS_MAX {
        faults.add("availability", format_args!("must have at most {DAYS_MAX} entries, each day once"));
        return None;
    }
    let mut week: Vec<DayHours> = Vec::with_capacity(days.len());
    for (at, DayAvailability { day, slots }) in days.iter().enumerate() {
        if week.iter().any(|earlier| earlier.day == *day) {
            faults.add(format!("availability[{at}].day"), "stands there twice");
        }
        let slots = parse_slots(&format!("availability[{at}].slots"), slots, faults);
        week.push(DayHours { day: *day, slots });
    }
    Some(week)
}

fn parse_slots(field: &str, texts: &[String], faults: &mut Faults) -> Vec<Hours> {
    let mut slots: Vec<Hours> = Vec::new();
    if texts.len() > SLOTS_PER_DAY_MAX {
        faults.add(field, format_args!("must have at most {SLOTS_PER_DAY_MAX} entries"));
        return slots;
    }
    for (at, text) in texts.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let Some(slot) = faults.take(&field, Hours::parse(text)) else { continue };
        if slots.iter().any(|earlier| earlier.overlaps(slot)) {
            faults.add(field, "must not overlap another of the same day");
        }
        slots.push(slot);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(day: Day, slots: &[&str]) -> DayAvailability {
        DayAvailability { day, slots: slots.iter().map(ToString::to_string).collect() }
    }

    fn faults_of(days: &[DayAvailability]) -> Vec<String> {
        let mut faults = Faults::new();
        let _ = parse(days, &mut faults);
        faults.into_problem().errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn hours_may_touch_and_end_with_the_day_in_any_order() {
        let week =
            [day(Day::Wednesday, &["12:00-24:00", "09:00-12:00", "00:00-09:00"]), day(Day::Monday, &[])];
        let mut faults = Faults::new();
        let parsed = parse(&week, &mut faults).unwrap();
        assert!(faults.is_empty());
        assert_eq!(parsed.iter().map(DayHours::view).collect::<Vec<_>>(), week);
    }

    #[test]
    fn each_fault_is_named_by_its_path() {
        let week = [
            day(Day::Monday, &["09:00-12:00", "11:59-13:00", "12:00-11:00"]),
            day(Day::Monday, &["9-12"]),
            day(Day::Friday, &["00:00-00:01"; 49]),
        ];
        assert_eq!(
            faults_of(&week),
            [
                "availability[0].slots[1]",
                "availability[0].slots[2]",
                "availability[1].day",
                "availability[1].slots[0]",
                "availability[2].slots",
            ]
        );
        assert_eq!(faults_of(&vec![day(Day::Monday, &[]); 8]), ["availability"]);
    }

    proptest! {
        /// Against the plain meaning: no minute of a day is in two of its slots.
        #[test]
        fn slots_are_accepted_exactly_when_no_minute_is_in_two(slots in prop::collection::vec((0u16..1440, 1u16..300), 0..8)) {
            let slots: Vec<_> = slots.into_iter().map(|(start, length)| (start, (start + length).min(1440))).collect();
            let mut minutes: Vec<_> = slots.iter().flat_map(|(start, end)| *start..*end).collect();
            let all = minutes.len();
            minutes.sort_unstable();
            minutes.dedup();
            let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let texts: Vec<_> = slots.iter().map(|(start, end)| format!("{}-{}", text(*start), text(*end))).collect();
            let faults = faults_of(&[DayAvailability { day: Day::Sunday, slots: texts }]);
            prop_assert_eq!(faults.is_empty(), minutes.len() == all);
        }
    }
}
