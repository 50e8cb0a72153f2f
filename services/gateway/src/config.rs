//! A `GatewayConfig` read from text, and how often that went well.
//!
//! A person who writes a file has misspelt what is not known here, and is told. An operator that writes a ConfigMap may be newer than
//! the gateway that reads it: what is not known is passed over, so that a version can be rolled out and back.

use http_kit::telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_ignored::Path;
use serde_path_to_error::Track;
use settings::{GATEWAY_NAME, GatewayConfig};

use crate::Error;

/// Reads what a person wrote.
pub(crate) fn from_yaml(text: &str) -> Result<GatewayConfig, Error> {
    let (mut unknown, mut track) = (Vec::new(), Track::new());
    let config = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        serde_ignored::deserialize(tracked, |path| unknown.push(place(&path)))
    });
    // The further lines of the complaint show the file.
    let config = config.map_err(|error: serde_saphyr::Error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        at(&track.path(), line.strip_prefix("error: ").unwrap_or(line))
    })?;
    if unknown.is_empty() { Ok(config) } else { Err(format!("{} is not known", unknown.join(", ")).into()) }
}

/// Reads what an operator wrote, and says what was passed over.
pub(crate) fn from_json(text: &str) -> Result<(GatewayConfig, Vec<String>), Error> {
    let (mut unknown, mut track) = (Vec::new(), Track::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let config = serde_ignored::deserialize(tracked, |path| unknown.push(place(&path)));
    let config = config.map_err(|error| at(&track.path(), &error.to_string()))?;
    deserializer.end()?;
    Ok((config, unknown))
}

/// A complaint with its place, if it is of one.
fn at(place: &serde_path_to_error::Path, complaint: &str) -> String {
    if place.iter().next().is_none() { complaint.to_owned() } else { format!("{place}: {complaint}") }
}

/// Where a member stands, written as in every other fault: `routes[0].retries.later`.
fn place(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", place(parent)),
        Path::Map { parent, key } => match place(parent) {
            outer if outer.is_empty() => key.clone(),
            outer => format!("{outer}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            place(parent)
        }
    }
}

/// Configurations taken into force, and those refused.
#[derive(Clone, Debug)]
pub(crate) struct Changes(Family<Outcome, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Changes {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let changes = Self(Family::default());
        metrics.register(GATEWAY_NAME, |registry| {
            let help = "Configurations taken into force, or refused";
            registry.register("gateway_configurations", help, changes.0.clone());
        });
        changes
    }

    pub(crate) fn applied(&self) {
        self.0.get_or_create(&Outcome { outcome: "applied" }).inc();
    }

    /// Tells it, too: what is in force stays.
    pub(crate) fn refused(&self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "the configuration is refused; nothing has changed");
        self.0.get_or_create(&Outcome { outcome: "refused" }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../examples/gateway.yaml");

    #[test]
    fn a_person_is_told_what_is_not_known_and_an_operator_may_be_newer() {
        let config = from_yaml(EXAMPLE).unwrap();
        let error = from_yaml(&format!("{EXAMPLE}\nrateLimit: {{}}\n")).unwrap_err().to_string();
        assert_eq!(error, "rateLimit is not known");

        let mut json = serde_json::to_value(&config).unwrap();
        json["routes"][0]["mirror"] = "elsewhere".into();
        let (read, unknown) = from_json(&json.to_string()).unwrap();
        assert_eq!((read, unknown), (config, vec!["routes[0].mirror".to_owned()]));
        assert!(from_json(&format!("{json} {{}}")).is_err(), "one document, not two");
    }

    /// Wherever it stands: what a person writes and what an operator writes is made of the same types.
    #[test]
    fn that_goes_for_every_depth() {
        let places = [
            ("/routes/0", "routes[0].later"),
            ("/routes/0/retries", "routes[0].retries.later"),
            ("/routes/0/circuitBreaker", "routes[0].circuitBreaker.later"),
            ("/routes/0/fallback/staleRead", "routes[0].fallback.later"),
            ("/routes/0/rateLimits", "routes[0].rateLimits.later"),
            ("/rateLimits", "rateLimits.later"),
            ("/rateLimits/perClient", "rateLimits.perClient.later"),
            ("/rateLimits/perKey", "rateLimits.perKey.later"),
            ("/rateLimitStore", "rateLimitStore.later"),
            ("/rateLimitStore/password", "rateLimitStore.password.later"),
            ("/upstreams/patient-service", "upstreams.patient-service.later"),
            ("/upstreams/patient-service/healthCheck", "upstreams.patient-service.healthCheck.later"),
            ("/cors", "cors.later"),
            ("/auth", "auth.later"),
            ("/observability", "observability.later"),
            ("/observability/tracing", "observability.tracing.later"),
        ];
        let mut known = serde_json::to_value(from_yaml(EXAMPLE).unwrap()).unwrap();
        let limit = serde_json::json!({"requestsPerSecond": 1, "burst": 1});
        known["routes"][0]["retries"] = serde_json::json!({"attempts": 1});
        known["routes"][0]["circuitBreaker"] = serde_json::json!({});
        known["routes"][0]["fallback"] = serde_json::json!({"staleRead": {"maxAgeSeconds": 1}});
        known["routes"][0]["rateLimits"] = serde_json::json!({});
        known["rateLimits"]["perClient"] = limit;
        known["rateLimits"]["perKey"] =
            serde_json::json!({"header": "X-API-Key", "requestsPerSecond": 1, "burst": 1});
        known["rateLimitStore"] =
            serde_json::json!({"host": "redis", "password": {"secret": "a", "key": "b"}});
        known["cors"] = serde_json::json!({"origins": ["https://portal.example.org"]});
        known["upstreams"]["patient-service"]["healthCheck"] = serde_json::json!({});
        known["observability"]["tracing"] =
            serde_json::json!({"endpoint": "http://a:4318", "samplePercent": 1});
        let (config, unknown) = from_json(&known.to_string()).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        for (pointer, place) in places {
            let mut newer = known.clone();
            newer.pointer_mut(pointer).unwrap()["later"] = true.into();
            assert_eq!(
                from_yaml(&newer.to_string()).unwrap_err().to_string(),
                format!("{place} is not known")
            );
            assert_eq!(from_json(&newer.to_string()).unwrap(), (config.clone(), vec![place.to_owned()]));
        }
    }

    #[test]
    fn a_complaint_has_its_place_as_every_fault_has() {
        for (written, wrong, place) in [
            ("timeoutMs: 5000 }", "timeoutMs: soon }", "routes[0].timeoutMs: line 3 column "),
            ("balancing: PeakEwma", "balancing: Best", "upstreams.patient-service.balancing: line 6 column "),
        ] {
            let text = EXAMPLE.replacen(written, wrong, 1);
            assert_ne!(text, EXAMPLE);
            let error = from_yaml(&text).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
        let error = from_json(r#"{"routes": [{"method": "FETCH"}]}"#).unwrap_err().to_string();
        assert!(error.starts_with("routes[0].method: unknown variant `FETCH`"), "{error}");
        let error = from_yaml("routes: [").unwrap_err().to_string();
        assert!(error.starts_with("line 1 column ") || error.starts_with("routes: line 1 "), "{error}");
    }

    #[test]
    fn what_a_member_is_to_be_is_not_guessed() {
        let config = serde_json::to_value(from_yaml(EXAMPLE).unwrap()).unwrap();
        for (pointer, value) in [
            ("/routes/0/access", serde_json::json!({"anyOf": ["patients:read"]})),
            ("/routes/0/fallback", serde_json::json!({"guess": {}})),
            ("/routes/0/balancing", "Weighted".into()),
        ] {
            let mut newer = config.clone();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            newer.pointer_mut(parent).unwrap()[member] = value;
            assert!(from_json(&newer.to_string()).is_err(), "{pointer}");
        }
    }
}
