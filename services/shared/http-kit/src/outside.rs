//! Addresses outside that users name: of a browser's push service, or of a webhook. Whoever names one must not have us call our own network by it.
//!
//! Not here: what the resource names (a mail server, a calendar), which whoever runs the stack answers for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An endpoint that may be called: `https` at a public host, but for hosts of the clinic's own. What a name stands for is looked at when it is called.
pub fn endpoint(text: &str, own_hosts: &[String]) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_own = own_hosts.iter().any(|own| own == host);
    let is_inside = host.parse().map_or_else(|_| is_inside_by_name(host), |address| !is_public(address));
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && (is_own || (url.scheme() == "https" && !is_inside))).then_some(url)
}

/// Whether a name leads inside by itself. A parsed host is in small letters; a dot at its end is the root's.
fn is_inside_by_name(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit_once('.').map(|(_, last)| last);
    last.is_none_or(|last| matches!(last, "local" | "internal" | "svc"))
}

/// Whether an address is anybody's on the internet: none of the registries of special purpose (RFC 6890) that lead inside.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let is_special = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
                || (a, b, c) == (192, 0, 0);
            !is_special
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(v4.into());
            }
            // 2000::/3 is what is given out; of it, 6to4 and Teredo lead to IPv4, NAT64 is outside of it.
            let [first, second, ..] = v6.segments();
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && second < 0x0200)
                && !(first == 0x2001 && second == 0x0db8)
        }
    }
}

/// A resolver for a client: it finds names among public addresses alone, but for these hosts. What a name stands for when it is called is what counts, so
/// that it cannot turn inside after it was looked at.
pub fn public_names(own_hosts: &[String]) -> Arc<PublicNames> {
    Arc::new(PublicNames(own_hosts.to_vec()))
}

/// See [`public_names`].
#[derive(Clone, Debug)]
pub struct PublicNames(Vec<String>);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let is_own = self.0.iter().any(|own| own == name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|at| is_own || is_public(at.ip())).collect();
            if public.is_empty() {
                return Err("it has no public address".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_inside_is_not_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn no_endpoint_leads_inside() {
        let own = ["push.clinic.internal".to_owned(), "127.0.0.1".to_owned()];
        for good in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://8.8.8.8/x",
            "http://127.0.0.1:9/x",
            "https://push.clinic.internal/x",
        ] {
            assert!(endpoint(good, &own).is_some(), "{good}");
        }
        for bad in [
            "http://push.example.com/x",
            "https://localhost/x",
            "https://10.0.0.1/x",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://169.254.169.254/latest",
            "https://kubernetes.default.svc/x",
            "https://auth-service/x",
            "file:///etc/passwd",
            "https://user:pass@push.example.com/x",
            "https://0x7f000001/x",
            "https://2130706433/x",
            "",
            "x",
        ] {
            assert!(endpoint(bad, &[]).is_none(), "{bad}");
        }
    }
}
