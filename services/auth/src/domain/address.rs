//! The client addresses that attempts are counted by, and that a session's owner is shown.

use std::net::{IpAddr, Ipv6Addr};

/// The address that an `X-Forwarded-For` names as the client: its last entry is the one that our own gateway wrote, what stands before
/// may be made up.
pub fn client(forwarded_for: &str) -> Option<String> {
    parse(forwarded_for).map(|address| address.to_string())
}

fn parse(forwarded_for: &str) -> Option<IpAddr> {
    let last = forwarded_for.rsplit(',').next().unwrap_or_default().trim();
    last.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The network of [`client`]: an IPv6 client has 2⁶⁴ addresses to choose from, so its /64 counts as one.
pub fn network(forwarded_for: &str) -> Option<String> {
    Some(match parse(forwarded_for)? {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_own_entry_counts() {
        assert_eq!(network("10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(network("1.2.3.4, 10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(network("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(client("1.2.3.4, 2001:db8:1:2::7").as_deref(), Some("2001:db8:1:2::7"));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in ["", "unknown", "10.0.0.1,", "10.0.0.1:80"] {
            assert_eq!((network(text), client(text)), (None, None), "{text}");
        }
    }
}
