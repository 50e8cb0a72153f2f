//! [`read`]: a mail server's report on a mail (RFC 6522): that it does not arrive (RFC 3464), or that whoever got it complained (RFC 5965).
//!
//! Strangers write such: nothing of it is believed but through a name in it that only we can have made. What is encoded (base64,
//! quoted-printable) is not read: neither standard lets the parts be so that matter here.

use contracts::links::LinkToken;

use super::delivery::enhanced_code;

/// So many parts are looked at: a report has three.
const PARTS_MAX: usize = 16;
/// So many names are: a report has one or two.
const NAMES_MAX: usize = 8;
/// Where a report says to which address it came, which may name the mail.
const CAME_TO: [&str; 5] = ["to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to"];

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it tells.
    pub told: Told,
    /// Which mail it may be about, by what it is called there. Nobody has looked yet whether we made these.
    pub names: Vec<LinkToken>,
    /// What it is called itself (`Message-ID`), if anything.
    pub id: Option<String>,
}

/// What a report tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It came back, with this code (RFC 3463).
    Failed(Option<String>),
    /// It is not there yet, and is tried further.
    Delayed(Option<String>),
    /// Whoever got it complained.
    Complained,
}

/// Reads a report; `None` if it is none, or tells nothing that means something here.
pub fn read(mail: &str) -> Option<Report> {
    let (head, body) = head(mail);
    let kind = head.get("content-type")?;
    if media_type(kind) != "multipart/report" {
        return None;
    }
    let boundary = parameter(kind, "boundary").filter(|boundary| !boundary.is_empty())?;
    let mut names = Vec::new();
    for field in CAME_TO {
        head.all(field).for_each(|value| names.extend(names_in_addresses(value)));
    }
    let (mut told, mut is_feedback) = (None, false);
    for part in parts(body, &boundary).into_iter().take(PARTS_MAX) {
        let (about, content) = self::head(part);
        match media_type(about.get("content-type").unwrap_or_default()).as_str() {
            "message/delivery-status" | "message/global-delivery-status" => told = told.or(status(content)),
            "message/feedback-report" => {
                let (feedback, _) = self::head(content);
                is_feedback |=
                    feedback.get("feedback-type").is_some_and(|it| it.eq_ignore_ascii_case("abuse"));
                feedback.all("original-mail-from").for_each(|it| names.extend(names_in_addresses(it)));
            }
            "message/rfc822" | "message/global" | "text/rfc822-headers" | "message/global-headers" => {
                let (returned, _) = self::head(content);
                names.extend(returned.get("message-id").and_then(name_of_mail));
            }
            _ => {}
        }
    }
    let told = if is_feedback { Told::Complained } else { told? };
    // First what was brought along: an address may have been written by anybody who forwards.
    names.reverse();
    names.dedup();
    names.truncate(NAMES_MAX);
    Some(Report { told, names, id: head.get("message-id").map(str::to_owned) })
}

/// Fields of a header, by names in lower case, in their order.
struct Head(Vec<(String, String)>);

impl Head {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A line without its end, and what follows it.
fn next_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    Some((line.strip_suffix('\r').unwrap_or(line), rest))
}

/// Fields up to an empty line, unfolded (RFC 5322 §2.2.3), and what follows it. A line that is none, such as the first of a mailbox file, is passed
/// over.
fn head(text: &str) -> (Head, &str) {
    let (mut fields, mut rest): (Vec<(String, String)>, _) = (Vec::new(), text);
    while let Some((line, after)) = next_line(rest) {
        rest = after;
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    (Head(fields), rest)
}

fn media_type(field: &str) -> String {
    field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A parameter of a media type, quoted or not (RFC 2045 §5.1).
fn parameter(field: &str, name: &str) -> Option<String> {
    let mut rest = field.split_once(';')?.1;
    loop {
        let (known, value) = rest.split_once('=')?;
        let (value, after) = unquoted(value.trim_start());
        if known.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.split_once(';')?.1;
    }
}

/// A value, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !is_escaped => return (value, &quoted[at + 1..]),
            '\\' if !is_escaped => is_escaped = true,
            c => {
                value.push(c);
                is_escaped = false;
            }
        }
    }
    (value, "")
}

/// What stands between the lines of a boundary (RFC 2046 §5.1.1). A last part that nothing ends counts: mails are cut.
fn parts<'a>(body: &'a str, boundary: &str) -> Vec<&'a str> {
    let (mut parts, mut begins, mut rest) = (Vec::new(), None, body);
    while let Some((line, after)) = next_line(rest) {
        let at = body.len() - rest.len();
        rest = after;
        let Some(end) = line.strip_prefix("--").and_then(|line| line.strip_prefix(boundary)) else {
            continue;
        };
        let is_last = end.trim_end() == "--";
        if !is_last && !end.trim_end().is_empty() {
            continue;
        }
        parts.extend(begins.map(|begins| &body[begins..at]));
        begins = (!is_last).then(|| body.len() - rest.len());
        if is_last {
            return parts;
        }
    }
    parts.extend(begins.map(|begins| &body[begins..]));
    parts
}

/// What is told of the recipients (RFC 3464 §2.3): each of our mails has one. After the fields of the message.
fn status(text: &str) -> Option<Told> {
    let (mut rest, mut delayed) = (text, None);
    while !rest.is_empty() {
        let (fields, after) = head(rest);
        rest = after;
        let action = fields.get("action").unwrap_or_default();
        if action.eq_ignore_ascii_case("failed") {
            return Some(Told::Failed(code(&fields)));
        }
        if action.eq_ignore_ascii_case("delayed") {
            delayed = Some(Told::Delayed(code(&fields)));
        }
    }
    delayed
}

/// The code; what a server said itself where the report's own says nothing.
fn code(fields: &Head) -> Option<String> {
    let status = fields.get("status").and_then(enhanced_code);
    if let Some(status) = status.as_ref().filter(|code| !code.ends_with(".0.0")) {
        return Some(status.clone());
    }
    let said = fields.get("diagnostic-code").and_then(|it| it.split_once(';')).map(|(_, said)| said);
    let mut words = said.unwrap_or_default().split([' ', '\t', '-']).filter(|word| !word.is_empty()).take(3);
    words.find_map(enhanced_code).or(status)
}

/// What a mail of ours is called: what stands before the `@`.
fn name_of_mail(message_id: &str) -> Option<LinkToken> {
    message_id.trim().trim_start_matches('<').split('@').next()?.parse().ok()
}

/// What mails are called by whose addresses these are: what stands between `+` and `@`.
fn names_in_addresses(text: &str) -> impl Iterator<Item = LinkToken> {
    let words = text.split(|c: char| c.is_whitespace() || ",;<>\"".contains(c));
    words.filter_map(|word| word.split_once('@')?.0.split_once('+')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "notif_1.BwcHBwcHBwcHBwcHBwcHBw";

    fn report(content_type: &str, told: &str, returned: &str) -> String {
        format!(
            "From mailer Thu Jan 15 09:00:00 2026\nMessage-ID: <1@mx.example>\nTo: bounces@clinic.example\n\
             Content-Type: multipart/report; report-type=x;\n\tboundary=\"a b\"\n\nnot shown\n--a b\n\nIt failed.\n\
             --a b\nContent-Type: {content_type}\n\n{told}\n--a b\nContent-Type: message/rfc822\n\n{returned}\n--a b--\n--a b\n"
        )
    }

    fn returned() -> String {
        format!("Subject: Reminder\nMessage-ID:\n <{NAME}@clinic.example>\n\nHello")
    }

    fn status_of(recipient: &str) -> Option<Told> {
        let told = format!(
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@example.com\n{recipient}\n"
        );
        read(&report("message/delivery-status", &told, &returned())).map(|report| report.told)
    }

    #[test]
    fn what_came_back_says_so_by_its_own_code_or_by_the_servers() {
        let failed = |code: &str| Some(Told::Failed(Some(code.to_owned())));
        for (recipient, told) in [
            ("Action: failed\nStatus: 5.1.1", failed("5.1.1")),
            ("ACTION: Failed\nSTATUS: 4.4.7 (expired)", failed("4.4.7")),
            ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no such user", failed("5.1.1")),
            ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp;\n 550-5.1.10 null MX", failed("5.1.10")),
            ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 go away", failed("5.0.0")),
            ("Action: failed", Some(Told::Failed(None))),
            ("Action: delayed\nStatus: 4.4.1", Some(Told::Delayed(Some("4.4.1".to_owned())))),
            ("Action: delivered\nStatus: 2.0.0", None),
            ("Action: relayed\nStatus: 2.0.0", None),
        ] {
            assert_eq!(status_of(recipient), told, "{recipient}");
        }
    }

    #[test]
    fn only_abuse_is_a_complaint() {
        for (kind, told) in [("abuse", Some(Told::Complained)), ("not-spam", None), ("virus", None)] {
            let feedback = format!("Feedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\n");
            let read = read(&report("message/feedback-report", &feedback, &returned()));
            assert_eq!(read.map(|report| report.told), told, "{kind}");
        }
    }

    #[test]
    fn a_mail_is_named_by_what_comes_back_or_by_where_it_comes_back_to() {
        let told = "Reporting-MTA: dns; a\n\nAction: failed\nStatus: 5.1.1\n";
        let name: LinkToken = NAME.parse().unwrap();
        let with_line_ends = report("message/delivery-status", told, &returned()).replace('\n', "\r\n");
        let found = read(&with_line_ends).unwrap();
        assert_eq!((found.names, found.id.as_deref()), (vec![name.clone()], Some("<1@mx.example>")));
        let without = report("message/delivery-status", told, "Subject: a\n\nb");
        assert_eq!(read(&without).unwrap().names, []);
        let named = without.replace("bounces@", &format!("bounces+{NAME}@"));
        assert_eq!(read(&named).unwrap().names, [name]);
    }

    #[test]
    fn what_is_no_report_is_none() {
        let told = "Reporting-MTA: dns; a\n\nAction: failed\nStatus: 5.1.1\n";
        let whole = report("message/delivery-status", told, &returned());
        for other in [
            String::new(),
            whole.replace("multipart/report", "multipart/mixed"),
            whole.replace("\tboundary=\"a b\"", "\tx=y"),
            whole.replace("message/delivery-status", "text/plain"),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_it(
            kind in "(multipart/report|[a-z/]{0,9})(; ?(boundary|[a-z]{0,3})=?(\"?[a-b\\\\\"; ]{0,4}|ä))*",
            lines in proptest::collection::vec("(--[ab]{1,2}(--)?|Content-Type: message/(delivery-status|rfc822|feedback-report)|Action: failed|Message-ID: <[a-z_.@+]{0,9}|\\PC{0,9}|)\\r?\\n?", 0..40),
        ) {
            let _ = read(&format!("Content-Type: {kind}\r\n\r\n{}", lines.concat()));
            let _ = read(&lines.concat());
        }

        #[test]
        fn a_parameter_reads_back_as_it_was_quoted(value in "[ -~]{1,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let field = format!("multipart/report; x=\"a;b=c\"; Boundary=\"{quoted}\"; y=z");
            prop_assert_eq!(parameter(&field, "boundary"), Some(value));
        }
    }
}
