//! What is written is read back: by a strict reader of this file, and by one of somebody else's.

use icalendar::Component;
use proptest::prelude::*;

use super::*;

/// Texts with what is hard in them often, and anything.
fn texts() -> impl Strategy<Value = String> {
    let hard = prop::sample::select(
        &[
            "\r\n",
            "\r",
            "\n",
            "\\",
            ";",
            ",",
            ":",
            "\"",
            "\u{85}",
            "\u{2028}",
            "\0",
            "\u{7f}",
            "é",
            "老虎",
            "👩‍⚕️",
            "\r\nATTENDEE:mailto:x@example.com",
            "\nEND:VEVENT\nBEGIN:VALARM",
            " ",
            "\t",
            "\\n",
            "\\\r\n ",
        ][..],
    );
    let piece = prop_oneof![hard.prop_map(str::to_owned), ".{0,90}", any::<String>()];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).unwrap()
}

fn event(summary: &str) -> Event {
    Event {
        uid: uid([7; 16]),
        sequence: 3,
        changed_at: at(29_000_000),
        starts_at: at(29_500_000),
        ends_at: at(29_500_030),
        status: Status::Confirmed,
        summary: summary.to_owned(),
        organizer: None,
        attendee: None,
    }
}

fn party(address: &str, name: &str) -> Party {
    Party { address: address.to_owned(), name: Some(name.to_owned()), sent_by: None }
}

fn calendar(events: Vec<Event>) -> Calendar {
    Calendar { name: Some("Appointments".to_owned()), method: None, refresh_minutes: Some(60), events }
}

/// What a text is after it was written: ends of lines are one kind, other control characters are gone.
fn written(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let end = |char| matches!(char, '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let ends: String = text.chars().map(|char| if end(char) { '\n' } else { char }).collect();
    ends.chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')).collect()
}

/// The properties, by the letter of RFC 5545 §3.1: nothing is passed over.
fn properties(text: &str) -> Vec<(String, String)> {
    assert!(text.ends_with("\r\n"));
    for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(line.len() <= 75, "{line:?}");
        assert!(!line.contains(|char: char| char.is_control() && char != '\t'), "{line:?}");
        assert!(!line.contains(['\u{2028}', '\u{2029}']), "{line:?}");
    }
    let unfolded = text.replace("\r\n ", "");
    let property = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        let is_name = |char: char| char.is_ascii_uppercase() || char == '-';
        assert!(name.split(';').next().unwrap().chars().all(is_name), "{line:?}");
        (name.to_owned(), value.to_owned())
    };
    unfolded.strip_suffix("\r\n").unwrap().split("\r\n").map(property).collect()
}

/// A text's value read back. An escape that is none of the four is a fault.
fn unescaped(value: &str) -> String {
    let (mut text, mut chars) = (String::new(), value.chars());
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next().unwrap() {
                'n' => text.push('\n'),
                char @ ('\\' | ';' | ',') => text.push(char),
                other => panic!("\\{other} in {value:?}"),
            },
            ';' | ',' => panic!("{char} in {value:?}"),
            char => text.push(char),
        }
    }
    text
}

proptest! {
    #[test]
    fn any_text_is_one_property_and_is_read_back(summary in texts(), name in texts(), id in texts()) {
        let mut calendar = calendar(vec![Event { uid: id.clone(), ..event(&summary) }]);
        calendar.name = Some(name.clone());
        let properties = properties(&calendar.to_text());
        let names: Vec<_> = properties.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, [
            "BEGIN", "VERSION", "PRODID", "CALSCALE", "NAME", "X-WR-CALNAME", "REFRESH-INTERVAL;VALUE=DURATION", "X-PUBLISHED-TTL",
            "BEGIN", "UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND", "STATUS", "SUMMARY", "CLASS", "END", "END",
        ]);
        for (at, text) in [(4, &name), (5, &name), (9, &id), (16, &summary)] {
            prop_assert_eq!(unescaped(&properties[at].1), written(text));
        }
    }

    #[test]
    fn whoever_is_named_adds_no_property(address in texts(), name in texts(), sent_by in texts()) {
        let organizer = Party { sent_by: Some(sent_by), ..party(&address, &name) };
        let named = Event { organizer: Some(organizer), attendee: Some(party(&address, &name)), ..event("Appointment") };
        let text = Calendar { name: None, method: Some(Method::Request), refresh_minutes: None, events: vec![named] }.to_text();
        for line in text.lines() {
            prop_assert!(line.len() <= 75, "{:?}", line);
        }
        let unfolded = text.replace("\r\n ", "");
        let names: Vec<_> = unfolded.lines().map(|line| line.split([':', ';']).next().unwrap()).collect();
        prop_assert_eq!(names, [
            "BEGIN", "VERSION", "PRODID", "CALSCALE", "METHOD", "BEGIN", "UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND",
            "STATUS", "SUMMARY", "CLASS", "ORGANIZER", "ATTENDEE", "END", "END",
        ]);
        let read: icalendar::Calendar = text.parse().unwrap();
        let read = read.events().next().unwrap();
        let uri = read.properties()["ORGANIZER"].value();
        prop_assert!(uri.strip_prefix("mailto:").unwrap().bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{:?}", uri);
        prop_assert_eq!(read.get_uid().map(str::to_owned), Some(uid([7; 16])));
    }

    #[test]
    fn no_escape_is_broken_over_two_lines(summary in texts()) {
        let text = calendar(vec![event(&summary)]).to_text();
        for line in text.split("\r\n ") {
            let escapes = line.len() - line.trim_end_matches('\\').len();
            prop_assert!(escapes % 2 == 0, "{line:?}");
        }
    }

    #[test]
    fn somebody_elses_reader_finds_the_same_events(
        summaries in prop::collection::vec(texts(), 1..6), starts in 0i64..90_000_000, minutes in 5i64..480, sequence in 0u32..1_000,
    ) {
        let event = |(number, summary): (usize, &String)| Event {
            uid: format!("{number}"), sequence, starts_at: at(starts), ends_at: at(starts + minutes), ..event(summary)
        };
        let events: Vec<_> = summaries.iter().enumerate().map(event).collect();
        let read: icalendar::Calendar = calendar(events.clone()).to_text().parse().unwrap();
        let read: Vec<_> = read.events().collect();
        prop_assert_eq!(read.len(), events.len());
        for (read, event) in read.iter().zip(&events) {
            prop_assert_eq!(read.get_uid(), Some(event.uid.as_str()));
            prop_assert_eq!(read.get_sequence(), Some(sequence));
            prop_assert_eq!(read.get_start(), Some(event.starts_at.into()));
            prop_assert_eq!(read.get_end(), Some(event.ends_at.into()));
            prop_assert_eq!(read.get_status(), Some(icalendar::EventStatus::Confirmed));
            prop_assert_eq!(read.get_class(), Some(icalendar::Class::Private));
        }
    }

    #[test]
    fn a_uid_is_a_uuid_of_version_8(hash in any::<[u8; 16]>()) {
        let uid = uid(hash);
        let groups: Vec<_> = uid.split('-').map(str::len).collect();
        prop_assert_eq!(groups, [8, 4, 4, 4, 12]);
        prop_assert_eq!(uid.as_bytes()[14], b'8');
        prop_assert!(b"89ab".contains(&uid.as_bytes()[19]));
    }
}

#[test]
fn a_cancelled_event_is_said_so_and_a_message_says_what_it_asks() {
    let cancelled = Event { status: Status::Cancelled, sequence: 4, ..event("Appointment") };
    let calendar = Calendar { method: Some(Method::Cancel), ..calendar(vec![cancelled]) };
    let text = calendar.to_text();
    for line in
        ["METHOD:CANCEL", "STATUS:CANCELLED", "SEQUENCE:4", "DTSTART:20260202T024000Z", "CLASS:PRIVATE"]
    {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
    }
}

#[test]
fn who_sends_and_who_comes_stand_in_a_message() {
    let organizer = Party {
        sent_by: Some("relay@example.net".to_owned()),
        ..party("no-reply@clinic.example", "Clinic \"Müller\"")
    };
    let attendee = Party { name: None, ..party("o'neil+x@example.com", "") };
    let named = Event { organizer: Some(organizer), attendee: Some(attendee), ..event("Appointment") };
    let text = Calendar { method: Some(Method::Request), ..calendar(vec![named]) }.to_text();
    let unfolded = text.replace("\r\n ", "");
    for line in [
        "ORGANIZER;CN=\"Clinic 'Müller'\";SENT-BY=\"mailto:relay@example.net\":mailto:no-reply@clinic.example",
        "ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:o'neil+x@example.com",
    ] {
        assert!(unfolded.contains(&format!("\r\n{line}\r\n")), "{line} in {unfolded}");
    }
}

#[test]
fn a_calendar_without_events_has_a_component_all_the_same() {
    let text = calendar(Vec::new()).to_text();
    let properties = properties(&text);
    assert_eq!(properties.iter().filter(|(name, value)| name == "BEGIN" && value == "VTIMEZONE").count(), 1);
    assert!(!text.contains("VEVENT"));
    let read: icalendar::Calendar = text.parse().unwrap();
    assert_eq!(read.events().count(), 0);
}
