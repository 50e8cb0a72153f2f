//! The hours of single dates, which count instead of the weekly ones.

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::field;
use contracts::hours::Hours;
use contracts::problem::Faults;
use contracts::schedules::{DateOverride, OVERRIDES_MAX};
use serde::{Deserialize, Serialize};

use super::availability::{parse_slots, zone_of};
use super::overlap::{self, Stretch};
use super::place::{self, Location};

/// A date's hours, at one place; none: closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateHours {
    /// Which date.
    pub date: NaiveDate,
    /// From when to when.
    pub slots: Vec<Hours>,
    /// Where.
    pub location: Option<String>,
}

impl DateHours {
    /// As the API shows it.
    pub fn view(&self) -> DateOverride {
        DateOverride {
            date: self.date.to_string(),
            slots: self.slots.iter().map(ToString::to_string).collect(),
            location_id: self.location.clone(),
        }
    }
}

/// Reads `overrides`: of each date each place once, and nothing that overlaps; what is wrong goes to `faults`.
pub fn parse(
    overrides: &[DateOverride],
    locations: &[Location],
    zone: Tz,
    faults: &mut Faults,
) -> Option<Vec<DateHours>> {
    if overrides.len() > OVERRIDES_MAX {
        faults.add("overrides", format_args!("must have at most {OVERRIDES_MAX} entries"));
        return None;
    }
    let mut parsed: Vec<DateHours> = Vec::with_capacity(overrides.len());
    let mut stretches = Vec::new();
    for (entry, DateOverride { date, slots, location_id }) in overrides.iter().enumerate() {
        let field = |member: &str| format!("overrides[{entry}].{member}");
        place::check(location_id.as_deref(), locations, &field("locationId"), faults);
        let slots = parse_slots(&field("slots"), slots, faults);
        let Some(date) = faults.take(&field("date"), field::date(date)) else { continue };
        if parsed.iter().any(|earlier| earlier.date == date && earlier.location == *location_id) {
            faults.add(field("date"), "stands there twice");
        }
        let zone = zone_of(location_id.as_deref(), locations, zone);
        stretches.extend(
            slots
                .iter()
                .enumerate()
                .map(|(slot, hours)| (date, Stretch { entry, slot, zone, hours: *hours })),
        );
        parsed.push(DateHours { date, slots, location: location_id.clone() });
    }
    if let Some(Stretch { entry, slot, .. }) = overlap::of_dates(stretches) {
        faults.add(format!("overrides[{entry}].slots[{slot}]"), "must not overlap another's");
    }
    Some(parsed)
}
