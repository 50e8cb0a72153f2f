//! Which fallbacks a route may have, and what is made of them when a configuration is made ready. What may stand in for answers that tell of a
//! person's health is for [`Tells`] to say, here as where a `HealthcareStack` is read.

use std::sync::Arc;
use std::time::Duration;

use contracts::permission::Permission;
use contracts::stand_in::Tells;
use http::{HeaderName, HeaderValue};
use settings::{GatewayConfig, Method, Route, RouteAccess, ServiceName, StaticAnswer};

use super::{Fallback, Larder, ready};
use crate::names::Names;
use crate::snapshot::GATEWAY;

/// Larger ones belong into a service.
const STATIC_BYTES_MAX: usize = 16 * 1024;
/// What says how an answer is framed is not the configuration's to say, nor what a service does not tell; and a cookie is nobody's fallback.
const NOT_ITS_OWN: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-fallback",
];

impl Fallback {
    /// What a route has of it; `larder` gives where answers are kept, if any route of the configuration keeps them.
    pub(crate) fn of(route: &Route, larder: Option<&Arc<Larder>>) -> Option<Box<Self>> {
        if route.service == GATEWAY {
            return None;
        }
        let fallback = match &route.fallback {
            Some(settings::Fallback::Static(answer)) => Self::Static(ready(answer)),
            Some(settings::Fallback::StaleRead { max_age_seconds }) => Self::Stale {
                larder: Arc::clone(larder?),
                age_max: Duration::from_secs((*max_age_seconds).into()),
                route: name(route).into(),
            },
            _ if route.method != Method::Get => Self::Outdates {
                larder: Arc::clone(larder?),
                timeout: Duration::from_millis(route.timeout_ms),
            },
            _ => return None,
        };
        Some(Box::new(fallback))
    }
}

/// Whether any route keeps answers.
pub(crate) fn is_any_stale(config: &GatewayConfig) -> bool {
    config.routes.iter().any(|route| matches!(route.fallback, Some(settings::Fallback::StaleRead { .. })))
}

/// What an answer depends on beside the request: kept ones must not outlive a change of it.
fn name(route: &Route) -> String {
    format!("{} {} {:?} {:?}", route.service, route.path, route.rewrite, route.headers)
}

/// Tells what is wrong with a route's fallback.
pub(crate) fn check(route: &Route, mut fault: impl FnMut(&str, String)) {
    let member = match &route.fallback {
        None | Some(settings::Fallback::Unavailable) => return,
        Some(settings::Fallback::StaleRead { .. }) => "fallback.staleRead",
        Some(settings::Fallback::Static(_)) => "fallback.static",
    };
    if route.method != Method::Get {
        fault(member, "is for reads alone: nothing stands in for a write".to_owned());
    }
    if route.service == GATEWAY {
        fault(member, "is for services: the gateway answers by itself".to_owned());
    }
    let tells = tells(route);
    match &route.fallback {
        Some(settings::Fallback::StaleRead { max_age_seconds }) => {
            let seconds_max = tells.stale_seconds_max();
            if let Some(why) = tells.stale_refused() {
                fault(member, why.to_owned());
            } else if !(1..=seconds_max).contains(max_age_seconds) {
                fault("fallback.staleRead.maxAgeSeconds", format!("must be from 1 to {seconds_max}"));
            }
        }
        Some(settings::Fallback::Static(answer)) => {
            if let Some(why) = tells.static_refused() {
                fault(member, why.to_owned());
            }
            check_static(answer, |field, what| fault(&format!("fallback.static.{field}"), what));
        }
        _ => {}
    }
}

/// What the route's answers may tell, whichever of its services gives them.
fn tells(route: &Route) -> Tells {
    let canary = route.canary.as_ref().map(|canary| &canary.upstream);
    let services = [Some(&route.service), canary].into_iter().flatten();
    let known = |name: &String| ServiceName::ALL.into_iter().find(|service| service.as_str() == name);
    let permissions = match &route.access {
        RouteAccess::Permissions(names) => names.as_slice(),
        RouteAccess::Public => &[],
    };
    let permissions = permissions.iter().filter_map(|name| name.parse::<Permission>().ok());
    Tells::of(services.filter_map(known), permissions)
}

fn check_static(answer: &StaticAnswer, mut fault: impl FnMut(&str, String)) {
    // Those between have no body, or are a part of one.
    if !matches!(answer.status, 200..=203 | 400..=599) {
        fault("status", format!("{} is no status of an answer with a body", answer.status));
    }
    if answer.content_type.is_empty() || HeaderValue::try_from(answer.content_type.as_str()).is_err() {
        fault("contentType", "is no media type".to_owned());
    }
    if answer.body.len() > STATIC_BYTES_MAX {
        fault("body", format!("must have {STATIC_BYTES_MAX} bytes at most"));
    }
    let is_json = answer.content_type.split(';').next().is_some_and(|kind| kind.trim().ends_with("json"));
    if is_json && serde_json::from_str::<serde::de::IgnoredAny>(&answer.body).is_err() {
        fault("body", format!("is not {}", answer.content_type));
    }
    for (name, value) in &answer.headers {
        let is_its_own = |name: &str| !NOT_ITS_OWN.contains(&name) && !Names::one(name).have(Names::NOT_TOLD);
        let is_header = name.parse::<HeaderName>().is_ok_and(|name| is_its_own(name.as_str()));
        if !is_header || HeaderValue::try_from(value.as_str()).is_err() {
            fault("headers", format!("{name} cannot be sent"));
        }
    }
}
