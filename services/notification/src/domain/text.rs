//! What notifications say, in each language: when and with whom, and nothing of why.
//!
//! A text is a template (`minijinja`, without includes, macros, filters and functions). Its variables are [`VARIABLES`]; another is a fault, and so is what
//! takes too long or gets too long.

use std::io::{self, Write};

use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;
use contracts::field::{self, BadField};
use contracts::notifications::NotificationType as Kind;
use contracts::problem::{Faults, Problem};
use contracts::templates::{Language, TemplateRequest};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};

use super::built_in;

/// What a template may name.
pub const VARIABLES: [&str; 8] =
    ["date", "time", "zone", "provider", "minutes", "until", "confirm", "cancel"];
const SUBJECT_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 2_000;
/// What comes of it may be so long.
const RENDERED_BYTES_MAX: usize = 8_000;
/// Instructions: a text without loops needs some tens.
const FUEL: u64 = 5_000;

/// The kinds that there are texts for.
pub const KINDS: [Kind; 6] =
    [Kind::Creation, Kind::Change, Kind::Cancellation, Kind::Reminder, Kind::Conflict, Kind::Waitlist];

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// Where.
    pub place: Tz,
    /// With whom, for whoever does not know.
    pub provider: Option<String>,
    /// How long it takes.
    pub minutes: u32,
    /// Of an offer: until when it is held.
    pub until: Option<DateTime<Utc>>,
    /// Of a reminder to a patient: the links by which they confirm it and call it off.
    pub links: Option<[String; 2]>,
}

impl Facts {
    /// Of an appointment that is made up: 20 January 2026, ten in the morning in Berlin.
    pub fn sample() -> Self {
        Self {
            starts_at: DateTime::from_timestamp(1_768_899_600, 0).unwrap_or_default(),
            place: Tz::Europe__Berlin,
            provider: Some("Dr. Jane Doe".to_owned()),
            minutes: 30,
            until: DateTime::from_timestamp(1_768_897_800, 0),
            links: Some(["confirm", "cancel"].map(|word| format!("https://clinic.example/{word}"))),
        }
    }
}

/// A template: a subject, which text messages do without, and a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// What somebody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl Template {
    /// The one that comes with this service; `None` of a kind that has none.
    pub fn built_in(kind: Kind, language: Language) -> Option<Self> {
        let (subject, text) = built_in::template(kind, language)?;
        Some(Self { subject: subject.to_owned(), text: text.to_owned() })
    }

    /// Reads what the API takes.
    pub fn read(request: &TemplateRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let (subject, text) = Self::parse(&request.subject, &request.text);
        let (subject, text) = (faults.take("subject", subject), faults.take("text", text));
        faults.finish(subject.zip(text).map(|(subject, text)| Self { subject, text }))
    }

    /// Reads one, and tries it: whoever writes it is told what is wrong, and nobody else ever is.
    fn parse(subject: &str, text: &str) -> (Result<String, BadField>, Result<String, BadField>) {
        let sample = Facts::sample();
        let tried = |part: String| {
            check_variables(&part).and_then(|()| render(&part, Language::En, &sample)).map(|_| part)
        };
        (
            field::line(subject, SUBJECT_CHARS_MAX).and_then(tried),
            field::prose(text, TEXT_CHARS_MAX).and_then(tried),
        )
    }

    /// What it says.
    pub fn render(&self, language: Language, facts: &Facts) -> Result<Said, BadField> {
        let subject = render(&self.subject, language, facts)?.replace(char::is_control, " ");
        Ok(Said { subject, text: render(&self.text, language, facts)? })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// Between its brackets a template names variables, and asks whether there is one. There is no arithmetic (`'x' * 99999999999` takes all memory there is), no
/// loop, and no text that could hide one.
fn check_form(template: &str) -> Result<(), BadField> {
    let bad = || {
        BadField::new(
            "may hold {{ a variable }} and {% if a variable %} … {% endif %}, and nothing else in such brackets",
        )
    };
    let mut rest = template;
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (open, inner) = (&rest[at..at + 2], &rest[at + 2..]);
        let end = inner.find(if open == "{{" { "}}" } else { "%}" }).ok_or_else(bad)?;
        let inside = &inner[..end];
        let is_plain =
            inside.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b' ' | b'-'));
        let first = inside.split([' ', '-']).find(|word| !word.is_empty()).unwrap_or_default();
        let is_known = open == "{{" || (open == "{%" && matches!(first, "if" | "elif" | "else" | "endif"));
        if !(is_plain && is_known) {
            return Err(bad());
        }
        rest = &inner[end + 2..];
    }
    Ok(())
}

fn check_variables(template: &str) -> Result<(), BadField> {
    check_form(template)?;
    let environment = environment();
    let parsed = environment.template_from_str(template).map_err(|error| malformed(&error))?;
    let mut unknown: Vec<_> = parsed.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| !VARIABLES.contains(&name.as_str()));
    unknown.sort();
    match unknown.first() {
        Some(name) => {
            let name: String = name.chars().take(40).collect();
            Err(BadField::new(format!(
                "names {name}, which is no variable: there are {}",
                VARIABLES.join(", ")
            )))
        }
        None => Ok(()),
    }
}

fn malformed(error: &minijinja::Error) -> BadField {
    let line = error.line().map_or_else(String::new, |line| format!(" in line {line}"));
    BadField::new(format!("must be a template that can be read: {}{line}", error.kind()))
}

fn render(template: &str, language: Language, facts: &Facts) -> Result<String, BadField> {
    let environment = environment();
    let parsed = environment.template_from_str(template).map_err(|error| malformed(&error))?;
    let local = facts.starts_at.with_timezone(&facts.place);
    let until = facts.until.map(|until| until.with_timezone(&facts.place));
    let [confirm, cancel] = facts.links.clone().unwrap_or_default();
    let values = context! {
        confirm => confirm,
        cancel => cancel,
        date => built_in::date(local.date_naive(), language),
        time => built_in::time(local.time().hour(), local.time().minute(), language),
        zone => facts.place.name(),
        provider => facts.provider.as_deref().unwrap_or_default(),
        minutes => facts.minutes,
        until => until.map(|until| built_in::time(until.hour(), until.minute(), language)).unwrap_or_default(),
    };
    let mut said = Bounded(Vec::new());
    parsed.render_captured_to(values, &mut said).map(drop).map_err(|error| malformed(&error))?;
    String::from_utf8(said.0).map_err(|_| BadField::new("must be text"))
}

/// Takes so much, and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            starts_at: "2026-03-01T23:05:00Z".parse().unwrap(),
            place: Tz::Europe__Berlin,
            provider: Some("Dr. Jane Doe".to_owned()),
            minutes: 30,
            until: None,
            links: None,
        }
    }

    #[test]
    fn each_built_in_text_says_when_where_and_with_whom_in_each_language() {
        for (language, date, time) in [
            (Language::En, "Monday, March 2, 2026", "12:05 AM"),
            (Language::De, "Montag, 2. März 2026", "00:05"),
            (Language::Es, "lunes, 2 de marzo de 2026", "0:05"),
            (Language::Fr, "lundi 2 mars 2026", "00:05"),
        ] {
            for kind in KINDS {
                let template = Template::built_in(kind, language).unwrap();
                let (subject, text) = Template::parse(&template.subject, &template.text);
                assert_eq!(
                    (subject.unwrap(), text.unwrap()),
                    (template.subject.clone(), template.text.clone())
                );
                let said = template.render(language, &facts()).unwrap();
                for part in [date, time, "Europe/Berlin"] {
                    assert!(said.text.contains(part), "{kind:?} {language:?}: {}", said.text);
                }
                assert!(said.text.contains("Dr. Jane Doe"), "{}", said.text);
                let alone = template.render(language, &Facts { provider: None, ..facts() }).unwrap();
                assert!(!alone.text.contains("Jane") && !alone.text.contains("  "), "{}", alone.text);
            }
        }
    }

    #[test]
    fn an_unknown_variable_is_named_and_what_never_ends_is_refused() {
        let fault = |text: &str| Template::parse("Hello", text).1.unwrap_err().to_string();
        assert!(fault("{{ diagnosis }}").contains("names diagnosis,"));
        assert!(fault("{% if reason %}x{% endif %}").contains("names reason,"));
        for text in [
            "{{ date",
            "{% if date %}",
            "{% include 'x' %}",
            "{% include x %}",
            "{{ date | upper }}",
            "{{ range(9) }}",
            "{% for a in date %}{{ a }}{% endfor %}",
            "{% set a = date %}",
            "{{ 'x' * 99999999999999 }}",
            "{# a note #}",
        ] {
            assert!(Template::parse("Hello", text).1.is_err(), "{text}");
        }
        assert!(Template::parse("two\nlines", "x").0.is_err());
        assert!(Template::parse("x", &"x".repeat(2_001)).1.is_err());
    }
}
