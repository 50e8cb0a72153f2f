//! [`Origin`]: where a page in a browser comes from. Which origins may call the API is the stack's to say; what an origin is, for both who reads the
//! resource and who reads a gateway's own file, stands here.

use std::net::Ipv6Addr;
use std::str::FromStr;

/// No browser remembers for longer than a day what a page may do.
pub const MAX_AGE_SECONDS_MAX: u32 = 24 * 60 * 60;

/// An origin as browsers write it (RFC 6454 §6.2): small letters, and no port that goes without saying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrigin {
    /// It is something else, more than one, or a pattern.
    #[error("is no origin; write one such as https://portal.example.org, without a path")]
    Form,
    /// Its pages come in the clear.
    #[error("must be https: whoever is on the way could put a page of theirs in its place")]
    Clear,
}

impl Origin {
    /// As it stands in `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin::Form)?;
        let host_end = authority.rfind(']').map_or_else(|| authority.find(':'), |end| Some(end + 1));
        let (host, port) = authority.split_at(host_end.unwrap_or(authority.len()));
        if !is_host(host) {
            return Err(NotAnOrigin::Form);
        }
        let usual = match scheme {
            "https" => 443,
            "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => 80,
            "http" => return Err(NotAnOrigin::Clear),
            _ => return Err(NotAnOrigin::Form),
        };
        match parse_port(port)? {
            Some(port) if port != usual => Ok(Self(format!("{scheme}://{host}:{port}"))),
            _ => Ok(Self(format!("{scheme}://{host}"))),
        }
    }
}

/// A name, or an address: nothing that could be meant as a pattern.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(is_label),
    }
}

/// `:8443`, or nothing.
fn parse_port(text: &str) -> Result<Option<u16>, NotAnOrigin> {
    let Some(digits) = text.strip_prefix(':') else {
        return if text.is_empty() { Ok(None) } else { Err(NotAnOrigin::Form) };
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port > 0).map(Some).ok_or(NotAnOrigin::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (written, sent) in [
            ("https://portal.example.org", "https://portal.example.org"),
            ("https://Portal.Example.org:443", "https://portal.example.org"),
            ("https://portal.example.org:8443", "https://portal.example.org:8443"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://localhost:05173", "http://localhost:5173"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:5173", "http://[::1]:5173"),
        ] {
            assert_eq!(written.parse::<Origin>().unwrap().as_str(), sent, "{written}");
        }
    }

    #[test]
    fn what_is_no_origin_or_more_than_one_is_refused() {
        for text in [
            "*",
            "null",
            "",
            "portal.example.org",
            "//portal.example.org",
            "https://",
            "https://*",
            "https://*.example.org",
            "https://portal..example.org",
            "https://portal.example.org/",
            "https://portal.example.org/api",
            "https://portal.example.org?a",
            "https://portal.example.org#a",
            "https://user@portal.example.org",
            "https://portal.example.org:",
            "https://portal.example.org:+443",
            "https://portal.example.org:0",
            "https://portal.example.org:99999",
            "https://portal.example.org, https://other.example.org",
            "https://p\u{f6}rtal.example.org",
            "https://[::g]",
            "https://a[::1]",
            "ftp://portal.example.org",
            "file://",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin::Form), "{text}");
        }
    }

    #[test]
    fn a_page_that_comes_in_the_clear_is_somebody_elses_for_whoever_is_on_the_way() {
        for text in ["http://portal.example.org", "http://localhost.example.org", "http://10.0.0.1:8080"] {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin::Clear), "{text}");
        }
    }
}
