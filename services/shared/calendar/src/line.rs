//! [`Lines`]: content lines (RFC 5545 §3.1), folded, with texts escaped.

/// The longest line, without its end.
const OCTETS_MAX: usize = 75;

/// Content lines, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// A property whose value is written as it is: a word or a number of our own.
    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        self.fold(&format!("{name}:{value}"));
    }

    /// A property whose value is any text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.fold(&format!("{name}:{}", escaped(value)));
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// A line is broken between characters, not between octets. An escape is not broken either: that would be right, and there are programs that
    /// drop the whole event then.
    fn fold(&mut self, line: &str) {
        let (mut octets, mut rest) = (0, line);
        while !rest.is_empty() {
            let (unit, after) = rest.split_at(unit_octets(rest));
            if octets + unit.len() > OCTETS_MAX {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push_str(unit);
            octets += unit.len();
            rest = after;
        }
        self.0.push_str("\r\n");
    }
}

/// How long the first character is, or the first escape.
fn unit_octets(text: &str) -> usize {
    let mut chars = text.chars();
    let mut octets = || chars.next().map_or(0, char::len_utf8);
    if text.starts_with('\\') { octets() + octets() } else { octets() }
}

/// A text as a value (RFC 5545 §3.3.11). Whatever some program takes for the end of a line becomes one that is escaped; other control characters,
/// which the format has no way to write, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' | ';' | ',' => escaped.extend(['\\', char]),
            '\r' => {
                let _ = chars.next_if_eq(&'\n');
                escaped.push_str("\\n");
            }
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => escaped.push_str("\\n"),
            '\t' => escaped.push('\t'),
            _ if char.is_control() => {}
            _ => escaped.push(char),
        }
    }
    escaped
}
