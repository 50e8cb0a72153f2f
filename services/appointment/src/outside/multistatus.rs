//! `multistatus`, what `WebDAV` servers answer with (RFC 4918 §14.16), read from the network: one pass, nothing that the document defines itself is
//! followed, and what is deeper or longer than any answer is refused.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

const DAV: &str = "DAV:";
const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";
const DEPTH_MAX: usize = 32;
/// More objects than a calendar has that anybody looks at.
const RESPONSES_MAX: usize = 25_000;
/// An address, an etag, a token.
const WORD_OCTETS_MAX: usize = 4_096;

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multistatus {
    /// Of each object.
    pub responses: Vec<Response>,
    /// What to ask with next time (RFC 6578 §6.4).
    pub next: Option<String>,
}

/// What was answered of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Where it is.
    pub href: String,
    /// The status of the object itself, if one was told.
    pub status: Option<u16>,
    /// As what it is there.
    pub etag: Option<String>,
    /// What it is.
    pub data: Option<String>,
}

/// It is none, or none that anybody would answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no multistatus")]
pub struct NoMultistatus;

/// An element that says something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Multistatus,
    Response,
    Propstat,
    Href,
    Status,
    Etag,
    Data,
    Token,
    Other,
}

impl Element {
    fn of(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Self {
        let ResolveResult::Bound(Namespace(namespace)) = namespace else { return Self::Other };
        match start.local_name().as_ref() {
            "calendar-data" if *namespace == CALDAV => Self::Data,
            _ if *namespace != DAV => Self::Other,
            "multistatus" => Self::Multistatus,
            "response" => Self::Response,
            "propstat" => Self::Propstat,
            "href" => Self::Href,
            "status" => Self::Status,
            "getetag" => Self::Etag,
            "sync-token" => Self::Token,
            _ => Self::Other,
        }
    }

    /// Whether its text is looked at.
    fn is_text(self) -> bool {
        matches!(self, Self::Href | Self::Status | Self::Etag | Self::Data | Self::Token)
    }
}

/// Reads an answer.
pub fn parse(body: &[u8]) -> Result<Multistatus, NoMultistatus> {
    let text = std::str::from_utf8(body).map_err(|_| NoMultistatus)?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut reading = Reading::default();
    loop {
        match reader.read_resolved_event().map_err(|_| NoMultistatus)? {
            (namespace, Event::Start(start)) => reading.begin(Element::of(&namespace, &start))?,
            (namespace, Event::Empty(start)) => {
                reading.begin(Element::of(&namespace, &start))?;
                reading.end()?;
            }
            (_, Event::End(_)) => reading.end()?,
            (_, Event::Text(text)) => reading.add(&text.xml_content(XmlVersion::Implicit1_0))?,
            (_, Event::CData(text)) => reading.add(&text.xml_content(XmlVersion::Implicit1_0))?,
            (_, Event::GeneralRef(reference)) => {
                let text = match reference.resolve_char_ref().map_err(|_| NoMultistatus)? {
                    Some(char) => Cow::Owned(char.to_string()),
                    None => Cow::Borrowed(resolve_xml_entity(&reference).ok_or(NoMultistatus)?),
                };
                reading.add(&text)?;
            }
            // Nobody needs to define anything to say this, and what is defined is what grows.
            (_, Event::DocType(_)) => return Err(NoMultistatus),
            (_, Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => {}
            (_, Event::Eof) => break,
        }
    }
    if reading.path.is_empty() && reading.is_one { Ok(reading.read) } else { Err(NoMultistatus) }
}

#[derive(Default)]
struct Reading {
    path: Vec<Element>,
    text: String,
    read: Multistatus,
    response: Response,
    is_one: bool,
}

impl Reading {
    fn begin(&mut self, element: Element) -> Result<(), NoMultistatus> {
        if self.path.len() >= DEPTH_MAX {
            return Err(NoMultistatus);
        }
        match (self.path.as_slice(), element) {
            ([], Element::Multistatus) => self.is_one = true,
            ([], _) => return Err(NoMultistatus),
            ([Element::Multistatus], Element::Response) => self.response = Response::default(),
            _ => {}
        }
        self.path.push(element);
        self.text.clear();
        Ok(())
    }

    fn add(&mut self, text: &str) -> Result<(), NoMultistatus> {
        let Some(element) = self.path.last().filter(|element| element.is_text()) else { return Ok(()) };
        if *element != Element::Data && self.text.len() + text.len() > WORD_OCTETS_MAX {
            return Err(NoMultistatus);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn end(&mut self) -> Result<(), NoMultistatus> {
        let element = self.path.pop().ok_or(NoMultistatus)?;
        let is_within = |parent: Element| self.path.contains(&parent);
        let (response, text) = (&mut self.response, std::mem::take(&mut self.text));
        let word = || Some(text.trim().to_owned()).filter(|word| !word.is_empty());
        match (self.path.as_slice(), element) {
            ([Element::Multistatus], Element::Response) => {
                if self.read.responses.len() >= RESPONSES_MAX || response.href.is_empty() {
                    return Err(NoMultistatus);
                }
                self.read.responses.push(std::mem::take(response));
            }
            ([Element::Multistatus], Element::Token) => self.read.next = word(),
            ([Element::Multistatus, Element::Response], Element::Href) => {
                response.href = word().unwrap_or_default();
            }
            ([Element::Multistatus, Element::Response], Element::Status) => {
                response.status = Some(status(&text).ok_or(NoMultistatus)?);
            }
            (_, Element::Etag) if is_within(Element::Propstat) => response.etag = word(),
            (_, Element::Data) if is_within(Element::Propstat) => {
                response.data = (!text.trim().is_empty()).then_some(text);
            }
            _ => {}
        }
        Ok(())
    }
}

/// `HTTP/1.1 404 Not Found`
fn status(line: &str) -> Option<u16> {
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_says_what_there_is_what_is_gone_and_what_to_ask_with() {
        let body = r#"<?xml version="1.0" encoding="utf-8"?>
            <multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><sync-token> http://a/1 </sync-token>
            <response><href>/c/a%20b.ics</href><propstat><prop><getetag>"1&amp;"</getetag>
              <C:calendar-data>BEGIN:VCALENDAR&#13;
X:&lt;<![CDATA[&y;]]></C:calendar-data></prop><status>HTTP/1.1 200 OK</status></propstat></response>
            <response><href>/c/b.ics</href><status>HTTP/1.1 404 Not Found</status></response></multistatus>"#;
        let read = parse(body.as_bytes()).unwrap();
        assert_eq!(read.next.as_deref(), Some("http://a/1"));
        let [there, gone] = read.responses.as_slice() else { panic!("{read:?}") };
        assert_eq!(
            (there.href.as_str(), there.etag.as_deref(), there.status),
            ("/c/a%20b.ics", Some("\"1&\""), None)
        );
        assert_eq!(there.data.as_deref(), Some("BEGIN:VCALENDAR\r\nX:<&y;"));
        assert_eq!((gone.href.as_str(), gone.status, gone.etag.as_deref()), ("/c/b.ics", Some(404), None));
    }

    #[test]
    fn the_same_names_in_another_namespace_say_nothing() {
        let body = r#"<d:multistatus xmlns:d="DAV:" xmlns:x="x"><d:response><d:href>/a</d:href><x:status>HTTP/1.1 404 X</x:status>
            <d:propstat><d:prop><x:getetag>1</x:getetag><x:calendar-data>2</x:calendar-data></d:prop></d:propstat></d:response></d:multistatus>"#;
        let read = parse(body.as_bytes()).unwrap();
        assert_eq!(read.responses, [Response { href: "/a".to_owned(), ..Response::default() }]);
    }

    #[test]
    fn what_is_none_is_refused_and_what_defines_something_too() {
        let within = |inner: &str| format!("<multistatus xmlns='DAV:'>{inner}</multistatus>");
        for body in [
            String::new(),
            "<html/>".to_owned(),
            "<multistatus/>".to_owned(),
            within("<response/>"),
            within("<response><href>/a</href><status>OK</status></response>"),
            within("<response>&undefined;<href>&a;</href></response>"),
            within("<response>"),
            within(&"<a>".repeat(100)),
            within(&format!("<sync-token>{}</sync-token>", "a".repeat(5_000))),
            format!("<!DOCTYPE a [<!ENTITY a 'aaaa'>]>{}", within("")),
            "\u{0}".to_owned(),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(NoMultistatus), "{body}");
        }
        assert_eq!(parse(&[0xff, 0xfe]), Err(NoMultistatus));
        assert_eq!(parse(within("").as_bytes()), Ok(Multistatus::default()));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            parts in prop::collection::vec(prop_oneof![
                Just("<response>".to_owned()), Just("</response>".to_owned()), Just("<href>".to_owned()), Just("</href>".to_owned()),
                Just("<propstat><prop><getetag>".to_owned()), Just("</getetag></prop></propstat>".to_owned()), Just("&amp;".to_owned()),
                Just("<![CDATA[".to_owned()), Just("]]>".to_owned()), Just("&#x41;".to_owned()), ".{0,12}",
            ], 0..24),
        ) {
            let body = format!("<multistatus xmlns='DAV:'>{}</multistatus>", parts.concat());
            if let Ok(read) = parse(body.as_bytes()) {
                prop_assert!(read.responses.iter().all(|response| !response.href.is_empty()));
            }
        }
    }
}
