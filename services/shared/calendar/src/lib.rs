//! Calendars as text: iCalendar (RFC 5545) as calendar programs subscribe to it, and with a method (RFC 5546) as it goes by mail.
//!
//! It writes what the stack says of appointments, and nothing else: events at instants, in UTC, so that no rule of a time zone has to go with
//! them. No text that is put in can make another property, whatever characters it has.
//!
//! With the feature `read` it also reads what other parties' calendars say, as far as that takes somebody's time ([`read`](mod@read)).
//!
//! Not here: what is in a feed and who may see it (the appointment service's), and how calendars are fetched and written outside.

mod line;
mod party;
#[cfg(feature = "read")]
pub mod read;
mod uid;

use chrono::{DateTime, Utc};

use line::Lines;
pub use party::Party;
pub use uid::uid;

/// The media type (RFC 5545 §8.1). It says the charset, although UTF-8 is the default, since some programs guess.
pub const MEDIA_TYPE: &str = "text/calendar; charset=utf-8";

const PRODID: &str = "-//Healthcare Stack//Calendar//EN";

/// A calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// What programs call it. A message has none: there are programs that make a calendar of their own of whatever has one.
    pub name: Option<String>,
    /// What is to be done with it, if it is a message (RFC 5546 §1.4). A feed has none.
    pub method: Option<Method>,
    /// How often a program that subscribes to it should ask again, in minutes.
    pub refresh_minutes: Option<u32>,
    /// What is in it.
    pub events: Vec<Event>,
}

/// What a message asks for (RFC 5546 §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To be entered or changed, and answered.
    Request,
    /// To be taken out.
    Cancel,
}

/// Something that takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same for all versions of it, and for nothing else anywhere: see [`uid()`].
    pub uid: String,
    /// Rises with each change (RFC 5546 §2.1.4).
    pub sequence: u32,
    /// When it was last changed. Both DTSTAMP and LAST-MODIFIED where there is no method (RFC 5545 §3.8.7.2), so that the same calendar is the
    /// same text.
    pub changed_at: DateTime<Utc>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it is over.
    pub ends_at: DateTime<Utc>,
    /// Whether it takes place.
    pub status: Status,
    /// What is shown of it.
    pub summary: String,
    /// Who sends a message about it, and stays the same through all of them. A feed names nobody.
    pub organizer: Option<Party>,
    /// Who is asked to come, of those whom the reader may know.
    pub attendee: Option<Party>,
}

/// Whether an event takes place (RFC 5545 §3.8.1.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As things are, it does.
    Confirmed,
    /// That is open.
    Tentative,
    /// It does not: a program that has it takes it out.
    Cancelled,
}

impl Method {
    /// Its name, in the calendar and in the media type of a message (RFC 6047 §2.4).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "CONFIRMED",
            Self::Tentative => "TENTATIVE",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl Calendar {
    /// The text, each line of it at most 75 octets long and ended by CRLF.
    pub fn to_text(&self) -> String {
        let mut lines = Lines::default();
        lines.plain("BEGIN", "VCALENDAR");
        lines.plain("VERSION", "2.0");
        lines.plain("PRODID", PRODID);
        lines.plain("CALSCALE", "GREGORIAN");
        if let Some(method) = self.method {
            lines.plain("METHOD", method.as_str());
        }
        // RFC 7986 §5.1 and §5.7, and what was there before it, which more programs know.
        if let Some(name) = &self.name {
            lines.text("NAME", name);
            lines.text("X-WR-CALNAME", name);
        }
        if let Some(minutes) = self.refresh_minutes {
            lines.plain("REFRESH-INTERVAL;VALUE=DURATION", &format!("PT{minutes}M"));
            lines.plain("X-PUBLISHED-TTL", &format!("PT{minutes}M"));
        }
        if self.events.is_empty() {
            no_event(&mut lines);
        }
        for event in &self.events {
            event.write(&mut lines);
        }
        lines.plain("END", "VCALENDAR");
        lines.into_text()
    }
}

impl Event {
    fn write(&self, lines: &mut Lines) {
        lines.plain("BEGIN", "VEVENT");
        lines.text("UID", &self.uid);
        lines.plain("SEQUENCE", &self.sequence.to_string());
        lines.plain("DTSTAMP", &instant(self.changed_at));
        lines.plain("LAST-MODIFIED", &instant(self.changed_at));
        lines.plain("DTSTART", &instant(self.starts_at));
        lines.plain("DTEND", &instant(self.ends_at));
        lines.plain("STATUS", self.status.as_str());
        lines.text("SUMMARY", &self.summary);
        lines.plain("CLASS", "PRIVATE");
        if let Some(organizer) = &self.organizer {
            organizer.write_organizer(lines);
        }
        if let Some(attendee) = &self.attendee {
            attendee.write_attendee(lines);
        }
        lines.plain("END", "VEVENT");
    }
}

/// A calendar has at least one component (RFC 5545 §3.6), and programs that hold to it refuse an empty one: this one says nothing.
fn no_event(lines: &mut Lines) {
    for (name, value) in [
        ("BEGIN", "VTIMEZONE"),
        ("TZID", "UTC"),
        ("BEGIN", "STANDARD"),
        ("DTSTART", "19700101T000000"),
        ("TZOFFSETFROM", "+0000"),
        ("TZOFFSETTO", "+0000"),
        ("END", "STANDARD"),
        ("END", "VTIMEZONE"),
    ] {
        lines.plain(name, value);
    }
}

/// An instant in UTC (RFC 5545 §3.3.5, form 2), to the second.
fn instant(instant: DateTime<Utc>) -> String {
    instant.format("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests;
