//! The forms of fields that several services share: lines, prose, phones, mail addresses, dates and times.
//!
//! Each parser takes what came in and gives a value that can only be right, or says what it must be. A message never repeats the
//! value, which may be health data.

use std::fmt;

use chrono::{NaiveDate, NaiveTime, Timelike};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::shared::ContactInfo;

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadField(String);

impl BadField {
    /// With a message that completes "the field …": `must be …`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Characters that are invisible, or turn text around: they make two different names look alike.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn bounded(text: &str, max: usize) -> Result<&str, BadField> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadField::new("must not be empty"));
    }
    if text.chars().nth(max).is_some() {
        return Err(BadField::new(format!("must have at most {max} characters")));
    }
    Ok(text)
}

/// One line of text without control characters, surrounding blanks taken off, 1 to `max` characters.
pub fn line(text: &str, max: usize) -> Result<String, BadField> {
    let text = bounded(text, max)?;
    if text.chars().any(|c| c.is_control() || is_deceptive(c)) {
        return Err(BadField::new("must be one line without control characters"));
    }
    Ok(text.to_owned())
}

/// Text of several lines: line feeds and tabs, but no other control characters, 1 to `max` characters.
pub fn prose(text: &str, max: usize) -> Result<String, BadField> {
    let text = bounded(text, max)?;
    if text.chars().any(|c| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || is_deceptive(c)) {
        return Err(BadField::new("must not have control characters"));
    }
    Ok(text.to_owned())
}

/// A phone number: `+` and 7 to 15 digits. Its form alone is checked (E.164 §6.2), not any country's numbering plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phone(String);

/// A mailbox: `local@domain` (RFC 5321 §4.1.2 without quoted local parts and address literals).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Phone {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        let digits = text.strip_prefix('+').unwrap_or("");
        let good = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| Self(text.to_owned())).ok_or_else(|| BadField::new("must be + and 7 to 15 digits"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Email {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        let good = text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| local_part(local) && domain_name(domain));
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| BadField::new("must be a mail address such as name@example.com"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In lower case, to be compared: nobody gives two people mailboxes that differ in case alone.
    pub fn normalised(&self) -> String {
        self.0.to_lowercase()
    }
}

/// RFC 5321 dot-string, with the letters beyond ASCII that RFC 6531 adds.
fn local_part(local: &str) -> bool {
    (1..=64).contains(&local.len())
        && local.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .chars()
                    .all(|c| c.is_alphanumeric() || (c.is_ascii_graphic() && !"()<>[]:;@\\,.\"".contains(c)))
        })
}

fn domain_name(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_alphanumeric())
    };
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How somebody is reached: at least one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// By phone.
    pub phone: Option<Phone>,
    /// By mail.
    pub email: Option<Email>,
}

impl Contact {
    /// Reads `contactInfo`; what is wrong with it goes to `faults`.
    pub fn parse(info: &ContactInfo, faults: &mut crate::problem::Faults) -> Option<Self> {
        let phone = info.phone.as_deref().map(Phone::parse).transpose();
        let email = info.email.as_deref().map(Email::parse).transpose();
        let (phone, email) =
            (faults.take("contactInfo.phone", phone), faults.take("contactInfo.email", email));
        let contact = Self { phone: phone?, email: email? };
        if contact.phone.is_none() && contact.email.is_none() {
            faults.add("contactInfo", "must have a phone or an email");
            return None;
        }
        Some(contact)
    }

    /// As the API shows it.
    pub fn to_info(&self) -> ContactInfo {
        ContactInfo {
            phone: self.phone.as_ref().map(ToString::to_string),
            email: self.email.as_ref().map(ToString::to_string),
        }
    }
}

/// A calendar date, `YYYY-MM-DD` (RFC 3339 `full-date`), between 1900 and 2199.
pub fn date(text: &str) -> Result<NaiveDate, BadField> {
    use chrono::Datelike;
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shape {
        return Err(BadField::new("must be a date such as 2024-08-01"));
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| (1900..2200).contains(&date.year()))
        .ok_or_else(|| BadField::new("must be a day that exists, between 1900 and 2199"))
}

/// A time of day, `HH:MM`, 00:00 to 23:59.
pub fn time(text: &str) -> Result<NaiveTime, BadField> {
    let bad = || BadField::new("must be a time of day such as 09:30");
    let bytes = text.as_bytes();
    if bytes.len() != 5 || bytes[2] != b':' {
        return Err(bad());
    }
    let number = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (text.get(..2).and_then(number), text.get(3..).and_then(number));
    NaiveTime::from_hms_opt(hours.ok_or_else(bad)?, minutes.ok_or_else(bad)?, 0).ok_or_else(bad)
}

/// A time of day as the API writes it.
pub fn time_text(time: NaiveTime) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// A list of one-line texts, each 1 to `max` characters, at most `count`; what is wrong goes to `faults` with its index.
pub fn lines(
    field: &str,
    texts: &[String],
    max: usize,
    count: usize,
    faults: &mut crate::problem::Faults,
) -> Option<Vec<String>> {
    if texts.len() > count {
        faults.add(field, format_args!("must have at most {count} entries"));
        return None;
    }
    let parsed: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| faults.take(&format!("{field}[{at}]"), line(text, max)))
        .collect();
    parsed.into_iter().collect()
}

/// The words of a text as searches compare them: in lower case and without accents, so that `garcia` finds García.
pub fn normalised_words(text: &str) -> Vec<String> {
    let folded: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .flat_map(letters_of)
        .collect();
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Letters that stand for others at a keyboard without them, and that Unicode does not take apart.
fn letters_of(c: char) -> Vec<char> {
    let letters = match c {
        'ß' => "ss",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'æ' => "ae",
        'œ' => "oe",
        'ı' => "i",
        _ => return vec![c],
    };
    letters.chars().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            prop_assert_eq!(normalised_words(&normalised_words(&text).join(" ")), normalised_words(&text));
            let _ = (line(&text, 20), prose(&text, 20), Phone::parse(&text), Email::parse(&text), date(&text), time(&text));
        }

        #[test]
        fn a_time_reads_back(minutes in 0u32..1440) {
            let text = format!("{:02}:{:02}", minutes / 60, minutes % 60);
            prop_assert_eq!(time_text(time(&text).unwrap()), text);
        }
    }

    #[test]
    fn words_are_found_without_their_accents() {
        for (typed, kept) in [
            ("garcia", "García"),
            ("strasse", "Straße"),
            ("nunez", "NÚÑEZ"),
            ("orsted", "Ørsted"),
            ("lukasz", "Łukasz"),
        ] {
            assert_eq!(normalised_words(typed), normalised_words(kept));
        }
    }

    #[test]
    fn the_documents_values_pass() {
        for phone in ["+1234567890", "+0987654321"] {
            assert!(Phone::parse(phone).is_ok());
        }
        for email in
            ["johndoe@example.com", "john.doe@example.com", "janedoe@example.com", "jürgen@exämple.de"]
        {
            assert!(Email::parse(email).is_ok());
        }
        assert!(date("2024-08-01").is_ok());
        assert!(time("10:00").is_ok());
    }

    #[test]
    fn what_is_no_such_thing_is_refused() {
        for phone in
            ["", "+", "12345678", "+123456", "+1234567890123456", "+12345a7", "+1 2345678", "++1234567"]
        {
            assert!(Phone::parse(phone).is_err(), "{phone}");
        }
        for email in
            ["", "a", "a@", "@b.c", "a@b", "a b@c.d", "a@b..c", "a@-b.c", "a..b@c.d", "a@b.c\0", "a@b@c.d"]
        {
            assert!(Email::parse(email).is_err(), "{email}");
        }
        for day in [
            "2024-02-30",
            "2023-02-29",
            "24-1-1",
            "2024-13-01",
            "2024/01/01",
            "+024-01-01",
            "0001-01-01",
            "2024-08-01T",
        ] {
            assert!(date(day).is_err(), "{day}");
        }
        for clock in ["25:00", "24:00", "10:60", "1:00", "10:00:00", "10.00", "+1:00", "é0:0"] {
            assert!(time(clock).is_err(), "{clock}");
        }
        for text in ["", "  ", "a\0b", "a\nb", "a\u{202E}b"] {
            assert!(line(text, 10).is_err(), "{text:?}");
        }
        assert!(line(&"a".repeat(11), 10).is_err());
    }
}
