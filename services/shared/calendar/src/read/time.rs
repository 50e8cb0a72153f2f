//! Dates and times as calendars write them (RFC 5545 §3.3.4 to §3.3.6), and the instants that they are.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property};

/// More than any event names dates.
const MOMENTS_MAX: usize = 5_000;
/// The longest that an event is let last.
const DAYS_MAX: i64 = 400;

/// Names that one maker's programs have for zones, the frequent ones (CLDR `windowsZones`). Whoever has another one has it explained in the
/// object, or is where the calendar's owner is.
const WINDOWS: &[(&str, Tz)] = &[
    ("AUS Eastern Standard Time", Tz::Australia__Sydney),
    ("Arabian Standard Time", Tz::Asia__Dubai),
    ("Central Europe Standard Time", Tz::Europe__Budapest),
    ("Central European Standard Time", Tz::Europe__Warsaw),
    ("Central Standard Time", Tz::America__Chicago),
    ("China Standard Time", Tz::Asia__Shanghai),
    ("E. South America Standard Time", Tz::America__Sao_Paulo),
    ("Eastern Standard Time", Tz::America__New_York),
    ("FLE Standard Time", Tz::Europe__Kiev),
    ("GMT Standard Time", Tz::Europe__London),
    ("GTB Standard Time", Tz::Europe__Bucharest),
    ("Greenwich Standard Time", Tz::Atlantic__Reykjavik),
    ("India Standard Time", Tz::Asia__Kolkata),
    ("Israel Standard Time", Tz::Asia__Jerusalem),
    ("Mountain Standard Time", Tz::America__Denver),
    ("Pacific Standard Time", Tz::America__Los_Angeles),
    ("Romance Standard Time", Tz::Europe__Paris),
    ("Russian Standard Time", Tz::Europe__Moscow),
    ("Singapore Standard Time", Tz::Asia__Singapore),
    ("South Africa Standard Time", Tz::Africa__Johannesburg),
    ("Tokyo Standard Time", Tz::Asia__Tokyo),
    ("Turkey Standard Time", Tz::Europe__Istanbul),
    ("W. Europe Standard Time", Tz::Europe__Berlin),
];

/// An instant, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The instant: of a date, its midnight.
    pub(super) instant: DateTime<Utc>,
    /// Where it was so late.
    pub(super) zone: Tz,
    /// Whether it is a date.
    pub(super) is_date: bool,
}

/// How long an event lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Whole days, whatever the clocks do meanwhile.
    Days(u64),
    /// So long.
    Exact(TimeDelta),
}

impl Length {
    /// By the end, or the duration, or by neither (RFC 5545 §3.6.1): a date is a day, a time no time at all.
    pub(super) fn of(starts: Moment, ends: Option<Moment>, duration: Option<&str>) -> Self {
        let duration = duration.and_then(parse_duration);
        if starts.is_date {
            let to = ends.map(|ends| local(ends.instant, ends.zone).date());
            let days = match (to, duration) {
                (Some(to), _) => (to - local(starts.instant, starts.zone).date()).num_days(),
                (None, Some(duration)) => duration.num_days(),
                (None, None) => 1,
            };
            return Self::Days(days.clamp(0, DAYS_MAX).unsigned_abs());
        }
        let exact = ends.map(|ends| ends.instant - starts.instant).or(duration).unwrap_or_default();
        Self::Exact(exact.clamp(TimeDelta::zero(), TimeDelta::days(DAYS_MAX)))
    }

    /// When it is over that begins then.
    pub(super) fn after(self, start: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::Exact(length) => start.checked_add_signed(length).unwrap_or(start),
            Self::Days(days) => {
                let end = local(start, zone).checked_add_days(Days::new(days));
                end.and_then(|end| instant(zone, end)).unwrap_or(start)
            }
        }
    }
}

fn local(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The instant of a local time: where it comes twice the first, and where clocks are set forward over it, what it would have been without (RFC 5545
/// §3.3.5). `None` beyond what a calendar is about.
pub(super) fn instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    if !(NaiveDate::from_ymd_opt(1900, 1, 1)?..NaiveDate::from_ymd_opt(2200, 1, 1)?).contains(&local.date()) {
        return None;
    }
    if let Some(earliest) = zone.from_local_datetime(&local).earliest() {
        return Some(earliest.to_utc());
    }
    let before = zone.offset_from_local_datetime(&(local - TimeDelta::days(1))).earliest()?;
    Some((local - TimeDelta::seconds(before.fix().local_minus_utc().into())).and_utc())
}

/// The zones that an object names.
pub(super) struct Zones {
    owner: Tz,
    /// What the object itself says that its names mean.
    explained: BTreeMap<String, Tz>,
}

impl Zones {
    pub(super) fn of(components: &[Component<'_>], owner: Tz) -> Self {
        let explain = |component: &Component<'_>| {
            let value =
                |name: &str| component.find_prop(name).map(|property| property.val.as_str().to_owned());
            Some((value("TZID")?, value("X-LIC-LOCATION")?.parse().ok()?))
        };
        let zones = components.iter().filter(|component| component.name == "VTIMEZONE");
        Self { owner, explained: zones.filter_map(explain).collect() }
    }

    /// A name's zone: by its IANA name, though a path may stand before it; as the object explains it; by what one maker calls it; or the owner's.
    fn zone(&self, name: &str) -> Tz {
        let name = name.trim_matches('"');
        let iana = || {
            let slashes = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
            std::iter::once(name).chain(slashes).find_map(|name| name.parse().ok())
        };
        let windows =
            || WINDOWS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, zone)| *zone);
        iana().or_else(|| self.explained.get(name).copied()).or_else(windows).unwrap_or(self.owner)
    }

    /// The moment that a property names.
    pub(super) fn moment(&self, property: &Property<'_>) -> Option<Moment> {
        self.moments(property).next()
    }

    /// The moments that a property names. Of a period, its beginning.
    pub(super) fn moments(&self, property: &Property<'_>) -> impl Iterator<Item = Moment> {
        let tzid = property.params.iter().find(|parameter| parameter.key == "TZID");
        let name = tzid.and_then(|parameter| parameter.val.as_ref()).map(|name| name.as_str().to_owned());
        let zone = name.map_or(self.owner, |name| self.zone(&name));
        let values = property.val.as_str().split(',').take(MOMENTS_MAX);
        values.filter_map(move |value| parse(value.split('/').next()?.trim(), zone))
    }
}

/// A date, a time in UTC, or a time in a zone.
pub(super) fn parse(text: &str, zone: Tz) -> Option<Moment> {
    let (text, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, Tz::UTC),
        None => (text, zone),
    };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.eq_ignore_ascii_case(&b'T'));
    let (local, is_date) = match text.len() {
        8 if is_plain => (NaiveDate::parse_from_str(text, "%Y%m%d").ok()?.and_time(NaiveTime::MIN), true),
        15 if is_plain => {
            (NaiveDateTime::parse_from_str(&text.to_ascii_uppercase(), "%Y%m%dT%H%M%S").ok()?, false)
        }
        _ => return None,
    };
    Some(Moment { instant: instant(zone, local)?, zone, is_date })
}

/// A duration (RFC 5545 §3.3.6), unless it is negative or longer than any event.
pub(super) fn parse_duration(text: &str) -> Option<TimeDelta> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix(['P', 'p'])?;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't']) {
            rest = time;
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)?.to_ascii_uppercase() {
            b'W' => 7 * 86_400,
            b'D' => 86_400,
            b'H' => 3_600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (seconds <= DAYS_MAX * 86_400).then(|| TimeDelta::seconds(seconds))
}
