//! [`Names`]: which of the headers that are handled stand in a request or an answer, found in one pass over their names. Most have none of them, and
//! asking for each would be a dozen searches.

use http::HeaderMap;

/// A set of names, or of kinds of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(u16);

impl Names {
    pub(crate) const CONNECTION: Self = Self(1);
    /// What else is for one connection alone.
    pub(crate) const HOP_BY_HOP: Self = Self(1 << 1);
    pub(crate) const TE: Self = Self(1 << 2);
    pub(crate) const UPGRADE: Self = Self(1 << 3);
    pub(crate) const EXPECT: Self = Self(1 << 4);
    pub(crate) const REAL_IP: Self = Self(1 << 5);
    /// What proxies say of where a request came from and what it asked for, [`Names::FORWARDED_HOST`] included.
    pub(crate) const CLAIM: Self = Self(1 << 6);
    pub(crate) const FORWARDED_HOST: Self = Self(1 << 7);
    pub(crate) const CACHE_CONTROL: Self = Self(1 << 8);
    /// What the gateway says itself, whatever a client has said: [`OwnLines`](crate::upstream::OwnLines) but for those above.
    pub(crate) const OWN: Self = Self(1 << 9);
    /// What no service tells a client: what it is made of, and what is the gateway's to say: who may read along, and that there is TLS.
    pub(crate) const NOT_TOLD: Self = Self(1 << 10);

    /// Those in a map.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers.keys().fold(Self::default(), |names, name| Self(names.0 | Self::one(name.as_str()).0))
    }

    /// Whether one of these is among them.
    pub(crate) const fn have(self, names: Self) -> bool {
        self.0 & names.0 != 0
    }

    /// What a name, in lower case, stands for.
    pub(crate) fn one(name: &str) -> Self {
        match name {
            "connection" => Self::CONNECTION,
            "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "transfer-encoding" => Self::HOP_BY_HOP,
            "te" => Self::TE,
            "upgrade" => Self::UPGRADE,
            "expect" => Self::EXPECT,
            "cache-control" => Self::CACHE_CONTROL,
            "forwarded" | "traceparent" => Self::OWN,
            // Of the rest most are none of these, which their first letter tells.
            _ => match name.as_bytes().first() {
                Some(b'x') => Self::extension(name),
                Some(b'a') if name.starts_with("access-control-") => Self::NOT_TOLD,
                Some(b's') if matches!(name, "server" | "strict-transport-security") => Self::NOT_TOLD,
                Some(b't') if name == "true-client-ip" => Self::CLAIM,
                Some(b't') if name == "timing-allow-origin" => Self::NOT_TOLD,
                _ => Self::default(),
            },
        }
    }

    /// What a name that begins with an x stands for.
    fn extension(name: &str) -> Self {
        match name {
            "x-real-ip" => Self::REAL_IP,
            "x-request-id" | contracts::deadline::HEADER => Self::OWN,
            "x-forwarded-host" => Self(Self::CLAIM.0 | Self::FORWARDED_HOST.0),
            "x-rewrite-url" | "x-client-ip" | "x-cluster-client-ip" => Self::CLAIM,
            "x-powered-by" | "x-aspnet-version" | "x-aspnetmvc-version" | "x-generator" | "x-runtime" => {
                Self::NOT_TOLD
            }
            _ if name.starts_with("x-forwarded-") || name.starts_with("x-original-") => Self::CLAIM,
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn what_no_service_tells_is_known_by_its_name() {
        for name in ["server", "x-powered-by", "access-control-allow-origin", "strict-transport-security"] {
            assert!(Names::one(name).have(Names::NOT_TOLD), "{name}");
        }
        assert_eq!(Names::one("server-timing"), Names::default());
        assert_eq!(Names::one(contracts::deadline::HEADER), Names::OWN, "wherever it stands in the alphabet");
    }

    #[test]
    fn a_map_has_what_one_of_its_names_stands_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(Names::of(&headers), Names::default());
        for name in ["accept", "x-forwarded-host", "te", "x-original-url"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        let there = Names::of(&headers);
        assert!(there.have(Names::TE) && there.have(Names::CLAIM) && there.have(Names::FORWARDED_HOST));
        assert!(
            !there.have(Names::CONNECTION) && !there.have(Names::HOP_BY_HOP) && !there.have(Names::REAL_IP)
        );
    }
}
