//! The hours of a week in which a provider can be booked.

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::hours::Hours;
use contracts::problem::Faults;
use contracts::providers::{Day, DayAvailability};
use serde::{Deserialize, Serialize};

use super::overlap::{self, Stretch};
use super::place::{self, Location};

const DAYS: usize = 7;
const SLOTS_PER_DAY_MAX: usize = 48;

/// One day of every week at one place, with hours that do not overlap; in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayHours {
    /// Which day.
    pub day: Day,
    /// From when to when.
    pub slots: Vec<Hours>,
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
}

impl DayHours {
    /// As the API shows it.
    pub fn view(&self) -> DayAvailability {
        DayAvailability {
            day: self.day,
            slots: self.slots.iter().map(ToString::to_string).collect(),
            location_id: self.location.clone(),
        }
    }
}

/// Reads `availability`: each day once at each place, and nobody at two places at once; what is wrong goes to `faults`. `zone` is the provider's
/// own; whether hours of two zones overlap is looked for in the year from `today` on.
pub fn parse(
    days: &[DayAvailability],
    locations: &[Location],
    zone: Tz,
    today: NaiveDate,
    faults: &mut Faults,
) -> Option<Vec<DayHours>> {
    let entries_max = DAYS * (locations.len() + 1);
    if days.len() > entries_max {
        faults.add("availability", format_args!("must have at most {entries_max} entries, each day once"));
        return None;
    }
    let mut week: Vec<DayHours> = Vec::with_capacity(days.len());
    let mut stretches = Vec::new();
    for (entry, DayAvailability { day, slots, location_id }) in days.iter().enumerate() {
        if week.iter().any(|earlier| earlier.day == *day && earlier.location == *location_id) {
            faults.add(format!("availability[{entry}].day"), "stands there twice");
        }
        place::check(location_id.as_deref(), locations, &format!("availability[{entry}].locationId"), faults);
        let slots = parse_slots(&format!("availability[{entry}].slots"), slots, faults);
        let zone = zone_of(location_id.as_deref(), locations, zone);
        stretches.extend(
            slots
                .iter()
                .enumerate()
                .map(|(slot, hours)| (*day as u32, Stretch { entry, slot, zone, hours: *hours })),
        );
        week.push(DayHours { day: *day, slots, location: location_id.clone() });
    }
    // Where there is but one place, each day stands there once.
    let overlap = overlap::of_week(&stretches, today).filter(|_| !locations.is_empty());
    if let Some(Stretch { entry, slot, .. }) = overlap {
        faults.add(format!("availability[{entry}].slots[{slot}]"), "must not overlap those of another place");
    }
    Some(week)
}

/// The time at a place.
pub fn zone_of(location: Option<&str>, locations: &[Location], zone: Tz) -> Tz {
    let location = locations.iter().find(|each| Some(each.id.as_str()) == location);
    location.and_then(|location| location.time_zone).unwrap_or(zone)
}

/// Reads the hours of one day, which do not overlap; what is wrong goes to `faults`.
pub fn parse_slots(field: &str, texts: &[String], faults: &mut Faults) -> Vec<Hours> {
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
        DayAvailability { day, slots: slots.iter().map(ToString::to_string).collect(), location_id: None }
    }

    fn read(days: &[DayAvailability], faults: &mut Faults) -> Option<Vec<DayHours>> {
        let place = |id: &str, zone| Location {
            id: id.to_owned(),
            name: id.to_owned(),
            address: None,
            time_zone: zone,
        };
        let places = if days.iter().any(|day| day.location_id.is_some()) {
            vec![place("mitte", None), place("nyc", Some(Tz::America__New_York))]
        } else {
            Vec::new()
        };
        parse(days, &places, Tz::Europe__Berlin, NaiveDate::from_ymd_opt(2026, 1, 15).unwrap(), faults)
    }

    fn at(place: &str, day: DayAvailability) -> DayAvailability {
        DayAvailability { location_id: Some(place.to_owned()), ..day }
    }

    #[test]
    fn nobody_is_at_two_places_at_once() {
        let monday = |slots: &[&str]| day(Day::Monday, slots);
        assert!(faults_of(&[monday(&["09:00-12:00"]), at("mitte", monday(&["12:00-14:00"]))]).is_empty());
        assert_eq!(
            faults_of(&[monday(&["09:00-12:00"]), at("mitte", monday(&["15:00-16:00", "11:59-12:30"]))]),
            ["availability[1].slots[1]"]
        );
        // Six in the morning in New York is noon in Berlin, and eleven in some weeks.
        let across = |time: &str| faults_of(&[monday(&["09:00-12:00"]), at("nyc", monday(&[time]))]);
        assert_eq!((across("07:00-08:00").len(), across("06:00-07:00").len()), (0, 1));
        // Monday night there is Tuesday here.
        let night = [day(Day::Tuesday, &["00:00-02:00"]), at("nyc", monday(&["19:00-20:00"]))];
        assert_eq!(faults_of(&night), ["availability[1].slots[0]"]);
        assert_eq!(faults_of(&[at("moon", monday(&[]))]), ["availability[0].locationId"]);
    }

    fn faults_of(days: &[DayAvailability]) -> Vec<String> {
        let mut faults = Faults::new();
        let _ = read(days, &mut faults);
        faults.into_problem().errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn hours_may_touch_and_end_with_the_day_in_any_order() {
        let week =
            [day(Day::Wednesday, &["12:00-24:00", "09:00-12:00", "00:00-09:00"]), day(Day::Monday, &[])];
        let mut faults = Faults::new();
        let parsed = read(&week, &mut faults).unwrap();
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
            let faults = faults_of(&[DayAvailability { day: Day::Sunday, slots: texts, location_id: None }]);
            prop_assert_eq!(faults.is_empty(), minutes.len() == all);
        }
    }
}
