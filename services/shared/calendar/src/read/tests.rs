use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::{Calendar, Event as Written, Status};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn reading() -> Reading {
    Reading { zone: Tz::Europe__Berlin, from: at("2026-01-15T09:00:00Z"), before: at("2027-02-15T00:00:00Z") }
}

fn object(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

fn busy_of(lines: &str) -> Vec<String> {
    let object = read(&object(lines), &reading()).unwrap();
    let text = |instant: DateTime<Utc>| instant.format("%m-%d %H:%M").to_string();
    object.busy.into_iter().map(|(from, to)| format!("{} to {}", text(from), text(to))).collect()
}

#[test]
fn an_event_is_when_it_says_it_is() {
    for (lines, expected) in [
        ("DTSTART:20260119T090000Z\nDTEND:20260119T093000Z", "01-19 09:00 to 01-19 09:30"),
        ("DTSTART;TZID=America/New_York:20260119T090000\nDURATION:PT1H30M", "01-19 14:00 to 01-19 15:30"),
        (
            "DTSTART;TZID=/mozilla.org/20050126_1/America/New_York:20260119T090000\nDURATION:PT1H",
            "01-19 14:00 to 01-19 15:00",
        ),
        ("DTSTART;TZID=Pacific Standard Time:20260119T090000\nDURATION:PT1H", "01-19 17:00 to 01-19 18:00"),
        // Nobody knows the zone, or none is named: it is the owner's.
        ("DTSTART;TZID=Here:20260119T090000\nDURATION:P1DT1H", "01-19 08:00 to 01-20 09:00"),
        ("DTSTART:20260119T090000\nDURATION:PT1H", "01-19 08:00 to 01-19 09:00"),
        ("DTSTART;VALUE=DATE:20260119", "01-18 23:00 to 01-19 23:00"),
        ("DTSTART;VALUE=DATE:20260119\nDTEND;VALUE=DATE:20260122", "01-18 23:00 to 01-21 23:00"),
        // A day is 23 hours long when the clocks are set forward.
        ("DTSTART;VALUE=DATE:20260329", "03-28 23:00 to 03-29 22:00"),
        // Half past two is left out in that night.
        ("DTSTART;TZID=Europe/Berlin:20260329T023000\nDURATION:PT1H", "03-29 01:30 to 03-29 02:30"),
        // What began before the time looked at and lasts into it.
        ("DTSTART:20260114T000000Z\nDTEND:20260116T000000Z", "01-14 00:00 to 01-16 00:00"),
    ] {
        assert_eq!(busy_of(lines), [expected], "{lines}");
    }
}

#[test]
fn what_takes_no_time_is_not_busy() {
    let time = "DTSTART:20260119T090000Z\nDTEND:20260119T093000Z";
    for lines in [
        format!("{time}\nTRANSP:TRANSPARENT"),
        format!("{time}\nSTATUS:CANCELLED"),
        "DTSTART:20260119T090000Z".to_owned(),
        "DTSTART:20260119T090000Z\nDTEND:20260119T080000Z".to_owned(),
        "DTSTART:20260114T090000Z\nDTEND:20260114T100000Z".to_owned(),
        "DTSTART:20280114T090000Z\nDTEND:20280114T100000Z".to_owned(),
    ] {
        assert_eq!(busy_of(&lines), [""; 0], "{lines}");
    }
}

#[test]
fn one_that_recurs_does_so_by_the_clock_on_the_wall() {
    let lines = "DTSTART;TZID=Europe/Berlin:20260323T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3";
    assert_eq!(
        busy_of(lines),
        ["03-23 08:00 to 03-23 09:00", "03-30 07:00 to 03-30 08:00", "04-06 07:00 to 04-06 08:00"]
    );
    let until = "DTSTART;VALUE=DATE:20260201\nRRULE:FREQ=MONTHLY;UNTIL=20260401";
    assert_eq!(
        busy_of(until),
        ["01-31 23:00 to 02-01 23:00", "02-28 23:00 to 03-01 23:00", "03-31 22:00 to 04-01 22:00"]
    );
}

#[test]
fn an_occurrence_that_was_moved_called_off_or_left_out_is_so() {
    let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20260119T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=5\r\n\
        EXDATE:20260120T090000Z\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID:20260121T090000Z\r\nDTSTART:20260121T150000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID:20260122T090000Z\r\nDTSTART:20260122T090000Z\r\nDURATION:PT1H\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let object = read(text, &reading()).unwrap();
    let hours: Vec<_> = object.busy.iter().map(|(from, _)| from.format("%d %H").to_string()).collect();
    assert_eq!(
        (hours, object.single),
        (vec!["19 09".to_owned(), "21 15".to_owned(), "23 09".to_owned()], None)
    );
}

#[test]
fn a_rule_without_an_end_ends_with_what_is_looked_at() {
    let lines = |rule: &str| format!("DTSTART:20260119T090000Z\nDURATION:PT30M\nRRULE:{rule}");
    assert_eq!(busy_of(&lines("FREQ=WEEKLY")).len(), 56);
    // What comes back-to-back is one; what nobody means takes place once.
    assert_eq!(busy_of(&lines("FREQ=SECONDLY")).len(), 1);
    for rule in ["FREQ=DAILY;INTERVAL=0", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=NEVER", "garbage", ""]
    {
        assert_eq!(busy_of(&lines(rule)), ["01-19 09:00 to 01-19 09:30"], "{rule}");
    }
    let ancient = "DTSTART:19010119T090000Z\nDURATION:PT30M\nRRULE:FREQ=SECONDLY";
    assert_eq!(busy_of(ancient), [""; 0]);
}

#[test]
fn what_is_no_event_is_refused_and_what_is_too_large_too() {
    for (text, expected) in [
        (String::new(), Unreadable::Garbage),
        ("<html>".to_owned(), Unreadable::Garbage),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\n".to_owned(), Unreadable::NoEvent),
        (object("SUMMARY:no beginning"), Unreadable::NoEvent),
        ("BEGIN:A\n".repeat(50_000), Unreadable::Large),
        (object(&"X:1\n".repeat(300_000)), Unreadable::Large),
    ] {
        assert_eq!(read(&text, &reading()), Err(expected), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn what_is_written_here_is_read_as_it_was_meant() {
    let (starts_at, ends_at) = (at("2026-01-19T09:00:00Z"), at("2026-01-19T09:30:00Z"));
    let event = Written {
        uid: "u".to_owned(),
        sequence: 0,
        changed_at: starts_at,
        starts_at,
        ends_at,
        status: Status::Confirmed,
        summary: "Appointment".to_owned(),
        organizer: None,
        attendee: None,
    };
    let text =
        Calendar { name: Some("n".to_owned()), method: None, refresh_minutes: None, events: vec![event] }
            .to_text();
    let span = (starts_at, ends_at);
    assert_eq!(
        read(&text, &reading()),
        Ok(Object { uid: "u".to_owned(), single: Some(span), busy: vec![span] })
    );
}

proptest! {
    #[test]
    fn whatever_is_said_is_read_without_a_panic_and_within_bounds(lines in prop::collection::vec(
        prop_oneof![
            "[A-Z;=:\",/0-9TZP+-]{0,40}",
            "(DTSTART|DTEND|RDATE|EXDATE|RECURRENCE-ID)(;TZID=[A-Za-z/]{0,12}|;VALUE=DATE)?:(19|20|99)[0-9]{6}(T[0-9]{6}Z?)?",
            "RRULE:FREQ=(SECONDLY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(;INTERVAL=[0-9]{1,10})?(;COUNT=[0-9]{1,10})?(;BY(DAY|MONTH|SETPOS|WEEKNO)=-?[0-9A-Z]{1,4})?",
            "DURATION:P[0-9]{0,19}[WDTHMS]{0,3}[0-9]{0,4}[HMS]?",
        ], 0..12)) {
        if let Ok(object) = read(&object(&lines.join("\n")), &reading()) {
            prop_assert!(object.busy.len() <= SPANS_MAX);
            prop_assert!(object.busy.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let window = reading();
            prop_assert!(object.busy.iter().all(|(from, to)| from < to && *to > window.from && *from < window.before));
            prop_assert!(object.busy.iter().all(|(from, to)| *to - *from <= TimeDelta::days(2 * 400 + 400)));
        }
    }
}
