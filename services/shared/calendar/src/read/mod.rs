//! Reading of other parties' calendars, as far as an event takes somebody's time: when, and whether it does. What it is about is not even looked at.
//!
//! One calendar object is one event with all that was changed of its occurrences (RFC 4791 §4.1). Whatever it says, what is read of it is bounded.
//!
//! Not here: how objects are fetched, and whose time it is.

mod recur;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property, read_calendar, unfold};

use time::{Length, Moment, Zones};

/// The longest text that is read. An event with a thousand changed occurrences is some hundred thousand octets.
const OCTETS_MAX: usize = 1 << 20;
/// Components stand in components, two deep as a rule.
const DEPTH_MAX: usize = 8;
/// Events in one object: one, and those of its occurrences that were changed.
const EVENTS_MAX: usize = 2_000;
/// Occurrences that are kept of one object: one an hour for half a year.
const SPANS_MAX: usize = 4_400;

/// From an instant until another.
pub type Stretch = (DateTime<Utc>, DateTime<Utc>);

/// What is needed to read an object.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Where its owner is: what a date and a time without a zone mean.
    pub zone: Tz,
    /// What ends before is not looked at.
    pub from: DateTime<Utc>,
    /// What begins then or later is not either.
    pub before: DateTime<Utc>,
}

/// An event, as far as it takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What names it.
    pub uid: String,
    /// When it is, if it is one event that does not recur, and is not called off.
    pub single: Option<Stretch>,
    /// When it keeps its owner busy within the time looked at: in order, without overlaps.
    pub busy: Vec<Stretch>,
}

/// It is not an event that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is longer, deeper, or of more parts than any event is.
    #[error("it is larger than any event")]
    Large,
    /// It is no iCalendar.
    #[error("it is no iCalendar object")]
    Garbage,
    /// It has no event with a name and a beginning.
    #[error("it has no event in it that has a UID and a beginning")]
    NoEvent,
}

/// Reads an object.
pub fn read(text: &str, reading: &Reading) -> Result<Object, Unreadable> {
    if text.len() > OCTETS_MAX || is_deep(text) {
        return Err(Unreadable::Large);
    }
    let unfolded = unfold(text);
    let calendar = read_calendar(&unfolded).map_err(|_| Unreadable::Garbage)?;
    let zones = Zones::of(&calendar.components, reading.zone);
    let named = calendar.components.iter().filter(|component| component.name == "VEVENT");
    let events: Vec<Event<'_>> =
        named.take(EVENTS_MAX + 1).filter_map(|event| Event::of(event, &zones)).collect();
    if events.len() > EVENTS_MAX {
        return Err(Unreadable::Large);
    }
    let uid = events.first().ok_or(Unreadable::NoEvent)?.uid.to_owned();
    let single = match events.as_slice() {
        [one] if !one.recurs() && one.replaces.is_none() && !one.is_cancelled => Some(one.span()),
        _ => None,
    };
    Ok(Object { uid, single, busy: busy(&events, reading) })
}

/// Whether components stand in one another deeper than is good for who reads them.
fn is_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.lines().any(|line| {
        let line = line.trim_start().as_bytes();
        if line.len() >= 6 && line[..6].eq_ignore_ascii_case(b"BEGIN:") {
            depth += 1;
        } else if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"END:") {
            depth = depth.saturating_sub(1);
        }
        depth > DEPTH_MAX
    })
}

/// A component VEVENT.
struct Event<'a> {
    uid: &'a str,
    starts: Moment,
    length: Length,
    is_cancelled: bool,
    is_transparent: bool,
    rule: Option<&'a str>,
    also: Vec<DateTime<Utc>>,
    not: BTreeSet<DateTime<Utc>>,
    /// Which occurrence it stands in the place of.
    replaces: Option<DateTime<Utc>>,
}

impl<'a> Event<'a> {
    fn of(component: &'a Component<'a>, zones: &Zones) -> Option<Self> {
        let value = |name: &str| find(component, name).map(|property| property.val.as_str());
        let says =
            |name: &str, what: &str| value(name).is_some_and(|is| is.trim().eq_ignore_ascii_case(what));
        let starts = zones.moment(find(component, "DTSTART")?)?;
        let ends = find(component, "DTEND").and_then(|property| zones.moment(property));
        let instants = |name: &str| {
            let properties = component.properties.iter().filter(|property| property.name == name);
            properties
                .flat_map(|property| zones.moments(property))
                .map(|moment| moment.instant)
                .collect::<Vec<_>>()
        };
        Some(Self {
            uid: value("UID")?,
            length: Length::of(starts, ends, value("DURATION")),
            starts,
            is_cancelled: says("STATUS", "CANCELLED"),
            is_transparent: says("TRANSP", "TRANSPARENT"),
            rule: value("RRULE"),
            also: instants("RDATE"),
            not: instants("EXDATE").into_iter().collect(),
            replaces: find(component, "RECURRENCE-ID")
                .and_then(|property| zones.moment(property))
                .map(|moment| moment.instant),
        })
    }

    fn recurs(&self) -> bool {
        self.rule.is_some() || !self.also.is_empty()
    }

    fn takes_time(&self) -> bool {
        !self.is_cancelled && !self.is_transparent
    }

    fn span(&self) -> Stretch {
        (self.starts.instant, self.length.after(self.starts.instant, self.starts.zone))
    }
}

fn find<'a>(component: &'a Component<'a>, name: &str) -> Option<&'a Property<'a>> {
    component.properties.iter().find(|property| property.name == name)
}

fn busy(events: &[Event<'_>], reading: &Reading) -> Vec<Stretch> {
    let replaced: BTreeSet<_> = events.iter().filter_map(|event| event.replaces).collect();
    let mut spans = Vec::new();
    for event in events.iter().filter(|event| event.takes_time()) {
        if event.replaces.is_some() || !event.recurs() {
            spans.push(event.span());
            continue;
        }
        let left_out = |start: &DateTime<Utc>| event.not.contains(start) || replaced.contains(start);
        let starts = recur::starts(event.starts, event.rule, &event.also, reading);
        let kept = starts.into_iter().filter(|start| !left_out(start));
        spans.extend(kept.map(|start| (start, event.length.after(start, event.starts.zone))));
    }
    spans.retain(|(from, to)| from < to && *to > reading.from && *from < reading.before);
    let mut spans = merged(spans);
    spans.truncate(SPANS_MAX);
    spans
}

/// In order, and those that overlap or touch as one.
fn merged(mut spans: Vec<Stretch>) -> Vec<Stretch> {
    spans.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::with_capacity(spans.len());
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}
