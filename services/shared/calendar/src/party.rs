//! [`Party`]: who organizes, and who attends (RFC 5545 §3.8.4.3 and §3.8.4.1).

use std::fmt::Write;

use crate::line::Lines;

/// Somebody with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The mailbox.
    pub address: String,
    /// What they are called.
    pub name: Option<String>,
    /// The mailbox that a message comes from, if that is another: some programs take nothing from whom it does not name.
    pub sent_by: Option<String>,
}

impl Party {
    pub(crate) fn write_organizer(&self, lines: &mut Lines) {
        lines.plain(&format!("ORGANIZER{}", self.parameters()), &mailto(&self.address));
    }

    /// As one who comes, for so it was agreed, and who is not asked: an answer by mail would be read by nobody.
    pub(crate) fn write_attendee(&self, lines: &mut Lines) {
        let agreed = "CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE";
        lines.plain(&format!("ATTENDEE;{agreed}{}", self.parameters()), &mailto(&self.address));
    }

    fn parameters(&self) -> String {
        let mut parameters = String::new();
        if let Some(name) = &self.name {
            let _ = write!(parameters, ";CN={}", quoted(name));
        }
        if let Some(sent_by) = &self.sent_by {
            let _ = write!(parameters, ";SENT-BY=\"{}\"", mailto(sent_by));
        }
        parameters
    }
}

/// A parameter's value (RFC 5545 §3.2). It cannot hold quotation marks, nor ends of lines; how RFC 6868 writes them, hardly a program reads.
fn quoted(text: &str) -> String {
    let is_end = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
    let replaced = |char| if char == '"' { '\'' } else { char };
    let value: String = text.chars().map(|char| if is_end(char) { ' ' } else { replaced(char) }).collect();
    format!("\"{value}\"")
}

/// The mailbox as a URI (RFC 6068 §2). What might end it, or a line, is written by its octets.
fn mailto(address: &str) -> String {
    let mut uri = String::from("mailto:");
    for byte in address.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$'*+@".contains(&byte);
        let _ = if is_plain { write!(uri, "{}", char::from(byte)) } else { write!(uri, "%{byte:02X}") };
    }
    uri
}
