//! Rules of recurrence (RFC 5545 §3.3.10), followed as far as is looked at and no further.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rrule::{RRule, RRuleSet, Unvalidated};

use super::Reading;
use super::time::{self, Moment};

/// So many occurrences are followed from the first: a daily event for more than a century, an hourly one for some five years.
const STEPS_MAX: usize = 50_000;
/// Longer rules, and larger numbers in them, nobody writes.
const RULE_OCTETS_MAX: usize = 500;
const INTERVAL_MAX: u32 = 1_000;

/// When occurrences begin: the first, those of the rule, and those that are named besides. One whose rule cannot be followed takes place once.
pub(super) fn starts(
    first: Moment,
    rule: Option<&str>,
    also: &[DateTime<Utc>],
    reading: &Reading,
) -> Vec<DateTime<Utc>> {
    let mut starts = vec![first.instant];
    starts.extend(also);
    if let Some(set) = rule.and_then(|rule| set(first, rule)) {
        let followed = set.limit().into_iter().take(STEPS_MAX).map(|start| start.to_utc());
        starts.extend(followed.take_while(|start| *start < reading.before));
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn set(first: Moment, rule: &str) -> Option<RRuleSet> {
    let starts = first.instant.with_timezone(&rrule::Tz::from(first.zone));
    let rule: RRule<Unvalidated> = bounded(rule, first.zone)?.parse().ok()?;
    Some(RRuleSet::new(starts).rrule(rule.validate(starts).ok()?))
}

/// The rule with its end in UTC, as the crate wants it of an event in a zone. `None`: nobody would have meant it.
fn bounded(rule: &str, zone: Tz) -> Option<String> {
    let rule = rule.trim();
    if rule.len() > RULE_OCTETS_MAX || !rule.is_ascii() {
        return None;
    }
    let mut parts = Vec::new();
    for part in rule.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        let value = match name.to_ascii_uppercase().as_str() {
            "UNTIL" => until(value, zone)?,
            "INTERVAL" if !(1..=INTERVAL_MAX).contains(&value.parse().ok()?) => return None,
            _ => value.to_owned(),
        };
        parts.push(format!("{name}={value}"));
    }
    Some(parts.join(";"))
}

/// The last instant at which an occurrence may begin.
fn until(value: &str, zone: Tz) -> Option<String> {
    let moment = time::parse(value, zone)?;
    Some(moment.instant.format("%Y%m%dT%H%M%SZ").to_string())
}
