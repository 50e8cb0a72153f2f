//! Who asks, as far as addresses tell: the connection's peer, or whom a trusted proxy names.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

/// `X-Forwarded-For`.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`.
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The other end of a connection, with its header lines ready, since they are the same for each of its requests.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) is_tls: bool,
    address: IpAddr,
    direct: Client,
}

/// A request's origin.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The limiter's key: see [`key`].
    pub(crate) key: u128,
    /// What services are told of it: `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239), each with its line's end.
    pub(crate) lines: Box<str>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, is_tls: bool) -> Self {
        let proto = if is_tls { "https" } else { "http" };
        Self { is_tls, address: address.to_canonical(), direct: Client::new(address, proto) }
    }

    /// The client of a request with these headers. What a stranger claims is not looked at.
    pub(crate) fn client(&self, headers: &HeaderMap, trusted: &Trusted) -> Cow<'_, Client> {
        if !self.is_trusted(trusted) {
            return Cow::Borrowed(&self.direct);
        }
        let proto = match headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes) {
            Some(b"https") => "https",
            Some(b"http") => "http",
            _ if self.is_tls => "https",
            _ => "http",
        };
        // From the right, each proxy appended whom it saw: the first one that is no proxy of ours is the client.
        let mut origin = self.address;
        let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
        for name in named.collect::<Vec<_>>().iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = parse_address(name.trim()) else { break };
            origin = address;
            if !trusted.has(origin) {
                break;
            }
        }
        Cow::Owned(Client::new(origin, proto))
    }

    /// Whether whoever asked did so over TLS, as far as that is known: to here, or to a trusted proxy.
    pub(crate) fn is_secret(&self, headers: &HeaderMap, trusted: &Trusted) -> bool {
        self.is_tls
            || (self.is_trusted(trusted)
                && headers.get(FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes() == b"https"))
    }

    /// Whether this peer's word about the outside is believed.
    pub(crate) fn is_trusted(&self, trusted: &Trusted) -> bool {
        trusted.has(self.address)
    }
}

impl Client {
    fn new(address: IpAddr, proto: &'static str) -> Self {
        let address = address.to_canonical();
        let key = key(address);
        let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
        // Neither an address nor a protocol's name has a byte that a header cannot carry.
        let lines = format!(
            "{FORWARDED_FOR}: {address}\r\n{FORWARDED_PROTO}: {proto}\r\n{FORWARDED}: for={node};proto={proto}\r\n"
        );
        Self { key, lines: lines.into() }
    }

    /// The lines, as headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let values = self.lines.lines().map(|line| line.split_once(": ").map_or("", |(_, value)| value));
        let names = [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED].into_iter();
        names.zip(values).filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)))
    }
}

/// Whose limit an address counts against: its own, and of IPv6 its /64's, since whoever has one address there has them all.
pub(crate) fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

/// An address as proxies write them: bare, in brackets, with or without a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The proxies whose word is believed.
#[derive(Debug, Default)]
pub(crate) struct Trusted(Vec<Network>);

#[derive(Debug)]
struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Trusted {
    /// Reads CIDR blocks; the first that is none comes back.
    pub(crate) fn parse(blocks: &[String]) -> Result<Self, &str> {
        blocks
            .iter()
            .map(|block| Network::parse(block).ok_or(block.as_str()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }
}

impl Network {
    fn parse(block: &str) -> Option<Self> {
        let (base, prefix) =
            block.split_once('/').map_or((block, None), |(base, prefix)| (base, Some(prefix)));
        let base = base.parse::<IpAddr>().ok()?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (prefix <= bits).then_some(Self { base, prefix })
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, trusted: &[&str], lines: &[&str]) -> String {
        let blocks: Vec<String> = trusted.iter().map(|block| (*block).to_owned()).collect();
        let trusted = Trusted::parse(&blocks).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let peer = Peer::new(peer.parse().unwrap(), false);
        let client = peer.client(&headers, &trusted);
        let line = client.lines.lines().next().unwrap();
        line.strip_prefix("x-forwarded-for: ").unwrap().to_owned()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client_of("203.0.113.9", &[], &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client_of("203.0.113.9", &["10.0.0.0/8"], &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_last_stranger_is_the_client() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client_of("10.0.0.1", &trusted, &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client_of("10.0.0.1", &trusted, &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
        assert_eq!(client_of("fd00::1", &trusted, &["6.6.6.6", "1.2.3.4:5678", "10.9.9.9"]), "1.2.3.4");
        assert_eq!(client_of("10.0.0.1", &trusted, &["nonsense"]), "10.0.0.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &trusted, &["[2001:db8::1]"]), "2001:db8::1");
    }

    #[test]
    fn neighbours_in_a_64_share_a_limit_and_ipv4_neighbours_do_not() {
        let key = |text: &str| Client::new(text.parse().unwrap(), "http").key;
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }

    #[test]
    fn blocks_that_are_none_are_named() {
        for bad in ["10.0.0.0/33", "fd00::/129", "x", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(Trusted::parse(&[bad.to_owned()]).unwrap_err(), bad);
        }
        assert!(Trusted::parse(&["0.0.0.0/0".to_owned(), "::1".to_owned()]).is_ok());
    }

    #[test]
    fn forwarded_quotes_ipv6() {
        let client = Client::new("2001:db8::1".parse().unwrap(), "https");
        assert!(client.lines.ends_with("\r\nforwarded: for=\"[2001:db8::1]\";proto=https\r\n"), "{client:?}");
    }
}
