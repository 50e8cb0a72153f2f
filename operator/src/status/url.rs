//! [`gateway_url`]: where the API answers.

use settings::GATEWAY_PORT;
use stack::{IngressBy, Stack, names};

use crate::facts::Sight;
use crate::way::address;

/// Where the API answers: at the Ingress, at the load balancer, or inside of the cluster.
pub(super) fn gateway_url(stack: &Stack, sight: &Sight) -> String {
    let scheme = |has_tls: bool| if has_tls { "https" } else { "http" };
    let Some(ingress) = &stack.gateway.ingress else {
        let inside = || format!("{}.{}", names::object(&stack.name, names::API_GATEWAY), stack.namespace);
        let host = address(stack, sight).map_or_else(inside, in_url);
        return format!("{}://{host}:{GATEWAY_PORT}", scheme(stack.gateway.tls.is_some()));
    };
    let has_tls = match &ingress.by {
        IngressBy::Ingress { tls_secret, .. } => tls_secret.is_some(),
        // What ends TLS is the Gateway, which is somebody else's; a public host has it, nearly always.
        IngressBy::HttpRoute { .. } => true,
    };
    format!("{}://{}", scheme(has_tls), ingress.host)
}

/// An address as a URL has it (RFC 3986, §3.2.2).
fn in_url(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}
