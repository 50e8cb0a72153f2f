//! The kinds of visits that a provider has, and the time each takes.

use contracts::field::{self, BadField};
use contracts::problem::Faults;
use contracts::schedules::{self as wire, VISIT_TYPES_MAX};
use serde::{Deserialize, Serialize};

const NAME_CHARS_MAX: usize = 100;
/// As long as an appointment may take.
const MINUTES: std::ops::RangeInclusive<u32> = 5..=480;
const BUFFER_MINUTES: std::ops::RangeInclusive<u32> = 0..=240;

/// A kind of visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitType {
    /// What it is asked for by.
    pub name: String,
    /// How long, minutes.
    pub minutes: u32,
    /// Minutes that stay free before it.
    pub before: u32,
    /// Minutes that stay free after it.
    pub after: u32,
}

impl VisitType {
    /// As the API shows it.
    pub fn view(&self) -> wire::VisitType {
        wire::VisitType {
            name: self.name.clone(),
            duration_minutes: self.minutes,
            buffer_before_minutes: self.before,
            buffer_after_minutes: self.after,
        }
    }
}

/// Reads `visitTypes`: each name once, whatever its case; what is wrong goes to `faults`.
pub fn parse(types: &[wire::VisitType], faults: &mut Faults) -> Option<Vec<VisitType>> {
    if types.len() > VISIT_TYPES_MAX {
        faults.add("visitTypes", format_args!("must have at most {VISIT_TYPES_MAX} entries"));
        return None;
    }
    let mut parsed: Vec<VisitType> = Vec::with_capacity(types.len());
    for (at, visit) in types.iter().enumerate() {
        let field = |member: &str| format!("visitTypes[{at}].{member}");
        let name = faults.take(&field("name"), field::line(&visit.name, NAME_CHARS_MAX)).unwrap_or_default();
        if parsed.iter().any(|earlier| earlier.name.to_lowercase() == name.to_lowercase()) {
            faults.add(field("name"), "stands there twice");
        }
        let mut minutes = |member: &str, minutes: u32, range: std::ops::RangeInclusive<u32>| {
            faults.take(&field(member), within(minutes, range)).unwrap_or_default()
        };
        parsed.push(VisitType {
            name,
            minutes: minutes("durationMinutes", visit.duration_minutes, MINUTES),
            before: minutes("bufferBeforeMinutes", visit.buffer_before_minutes, BUFFER_MINUTES),
            after: minutes("bufferAfterMinutes", visit.buffer_after_minutes, BUFFER_MINUTES),
        });
    }
    Some(parsed)
}

fn within(minutes: u32, range: std::ops::RangeInclusive<u32>) -> Result<u32, BadField> {
    if range.contains(&minutes) {
        return Ok(minutes);
    }
    Err(BadField::new(format!("must be between {} and {}", range.start(), range.end())))
}
