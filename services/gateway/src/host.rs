//! Which host a request is for: told once, in whichever way its version of HTTP tells it, and a name that a host can have.

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Uri, Version, request};

use crate::refusal::Refusal;

/// A port's digits.
const PORT_DIGITS_MAX: usize = 5;

/// Makes `Host` say it, wherever it stood (RFC 9112 §3.2, RFC 9113 §8.3.1).
pub(crate) fn settle(head: &mut request::Parts) -> Result<(), Refusal> {
    let named = named(&head.headers)?;
    let Some(authority) = head.uri.authority() else {
        return match named {
            Some(host) if is_host(host.as_bytes()) => Ok(()),
            None if head.version == Version::HTTP_10 => Ok(()),
            Some(_) => Err(Refusal::malformed("Host must be a host's name or address.")),
            None => Err(Refusal::malformed("There must be exactly one Host header.")),
        };
    };
    // In a header's form a user's name and password would be the host's (RFC 9110 §4.2.4).
    if !is_host(authority.as_str().as_bytes()) || !is_http(&head.uri) {
        return Err(Refusal::malformed("The address must be of http or https, at a host's name or address."));
    }
    match named {
        // HTTP/1.1 says which of the two counts (RFC 9112 §3.2.2).
        Some(host) if head.version != Version::HTTP_2 && is_host(host.as_bytes()) => {}
        Some(host) if host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => return Ok(()),
        Some(_) => return Err(Refusal::malformed("Host must be the address's own.")),
        None if head.version == Version::HTTP_11 => {
            return Err(Refusal::malformed("There must be exactly one Host header."));
        }
        None => {}
    }
    let host = HeaderValue::from_str(authority.as_str());
    let host = host.map_err(|_| Refusal::malformed("Host must be a host's name or address."))?;
    head.headers.insert(HOST, host);
    Ok(())
}

fn named(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Refusal> {
    let mut lines = headers.get_all(HOST).iter();
    let host = lines.next();
    match lines.next() {
        None => Ok(host),
        Some(_) => Err(Refusal::malformed("There must be exactly one Host header.")),
    }
}

fn is_http(uri: &Uri) -> bool {
    // CONNECT has no scheme, and no route.
    uri.scheme_str().is_none_or(|scheme| scheme == "http" || scheme == "https")
}

/// A DNS name, an IPv4 address or an IPv6 address in brackets, with or without a port. RFC 3986 §3.2.2 would allow more, which no host has and
/// which readers take for the end of a name.
fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text.first() {
        Some(b'[') => {
            let Some(end) = text.iter().position(|byte| *byte == b']') else { return false };
            let (address, port) = text.split_at(end + 1);
            let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if !address[1..end].iter().all(is_digit) {
                return false;
            }
            (address, port)
        }
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_port = port.is_empty()
        || (port[0] == b':' && port.len() <= 1 + PORT_DIGITS_MAX && port[1..].iter().all(u8::is_ascii_digit));
    is_port && !name.is_empty() && (name[0] == b'[' || name.iter().all(is_name))
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
        for good in [
            "clinic.example",
            "a_b",
            "127.0.0.1:8080",
            "[::1]",
            "[2001:db8::1]:8443",
            "a:",
            "xn--bcher-kva.example.",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "a@b", "a,b", "a:80:80", "a:x", "a:123456", "[::1", "[x]", "[::1]x",
            "a?b", "a#b", "a\\b", "ä",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
