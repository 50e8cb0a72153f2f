//! Alerting rules: few, and each says that somebody is kept from working, or soon will be.

use serde_json::{Value, json};
use stack::names;

use super::selector;
use crate::plan::{Context, parts};

/// Somebody is woken.
const CRITICAL: &str = "critical";
/// Somebody looks at it in the morning.
const WARNING: &str = "warning";

struct Alert {
    name: &'static str,
    /// True for as long as something is wrong.
    expr: String,
    /// For so long before anybody is told.
    lasting: &'static str,
    severity: &'static str,
    summary: String,
    description: &'static str,
}

/// The spec of a `PrometheusRule`.
pub(super) fn rules(context: &Context<'_>) -> Value {
    let rules: Vec<_> = [down(context)]
        .into_iter()
        .chain(of_the_gateway(context))
        .chain(of_the_services(context))
        .map(|alert| {
            json!({
                "alert": alert.name,
                "expr": alert.expr,
                "for": alert.lasting,
                "labels": { "severity": alert.severity, "stack": names::label(&context.stack.name) },
                "annotations": { "summary": alert.summary, "description": alert.description },
            })
        })
        .collect();
    json!({ "groups": [{ "name": context.name(names::ALERTS), "rules": rules }] })
}

/// `absent`, so that it speaks up as well when there is no pod to ask. It has no labels of its own, and without the part's all parts would be one
/// alert.
fn down(context: &Context<'_>) -> Alert {
    let of = selector(context);
    let absent = parts(context).map(|part| {
        format!(r#"label_replace(absent(up{{{of},job="{part}"}} == 1), "job", "{part}", "", "")"#)
    });
    Alert {
        name: "HealthcarePartDown",
        expr: absent.collect::<Vec<_>>().join(" or "),
        lasting: "2m",
        severity: CRITICAL,
        summary: "No pod of {{ $labels.job }} answers".to_owned(),
        description: "Prometheus reaches no pod of it. See `kubectl healthcare status`, and the pods' events and logs.",
    }
}

fn of_the_gateway(context: &Context<'_>) -> [Alert; 7] {
    let of = selector(context);
    [
        Alert {
            name: "HealthcareErrorRate",
            expr: format!(
                r#"sum(rate(healthcare_gateway_requests_total{{{of},status="5xx"}}[5m])) / sum(rate(healthcare_gateway_requests_total{{{of}}}[5m])) > 0.02"#
            ),
            lasting: "5m",
            severity: CRITICAL,
            summary: "More than 2 % of the requests fail".to_owned(),
            description: "The gateway answers them with 5xx. The dashboard says which service they were for.",
        },
        Alert {
            name: "HealthcareLatency",
            expr: format!(
                "histogram_quantile(0.99, sum by (le) (rate(healthcare_gateway_request_seconds_bucket{{{of}}}[5m]))) > 1"
            ),
            lasting: "10m",
            severity: WARNING,
            summary: "One request in a hundred takes longer than 1 s".to_owned(),
            description: "Look at the services' own latency, at CPU throttling and at the database.",
        },
        Alert {
            name: "HealthcareBreakerOpen",
            expr: format!("max by (upstream, endpoint) (healthcare_gateway_breaker_state{{{of}}}) == 2"),
            lasting: "2m",
            severity: WARNING,
            summary: "The gateway gives {{ $labels.endpoint }} of {{ $labels.upstream }} a rest".to_owned(),
            description: "Its circuit breaker is open: the pod fails or is slow, and others take its requests.",
        },
        Alert {
            name: "HealthcareOverloaded",
            // What can wait is refused so that these are not: some of it is no alarm.
            expr: format!(
                r#"sum by (upstream) (rate(healthcare_gateway_shed_total{{{of},priority=~"critical|high"}}[5m])) > 0.1"#
            ),
            lasting: "2m",
            severity: CRITICAL,
            summary: "{{ $labels.upstream }} has more to do than it can".to_owned(),
            description: "Work at patients is refused, and all that can wait before it. See the service's latency and its database; more pods help if those are well.",
        },
        Alert {
            name: "HealthcareConfigurationRefused",
            // Not `increase`: a counter that begins with its first refusal has none.
            expr: format!(
                "sum(healthcare_gateway_configurations_total{{{refused}}}) > (sum(healthcare_gateway_configurations_total{{{refused}}} offset 10m) or vector(0))",
                refused = format_args!(r#"{of},outcome="refused""#),
            ),
            lasting: "0m",
            severity: WARNING,
            summary: "The gateway refuses its new configuration".to_owned(),
            description: "It goes on with the one before. Its log says what is wrong.",
        },
        Alert {
            name: "HealthcareLimitStoreAway",
            // A share, since one answer now and then comes late where all is well.
            expr: format!(
                r#"sum(rate(healthcare_gateway_limit_store_fallbacks_total{{{of}}}[5m])) / (sum(rate(healthcare_gateway_limit_store_fallbacks_total{{{of}}}[5m])) + (sum(rate(healthcare_gateway_limit_store_checks_total{{{of},outcome="answered"}}[5m])) or vector(0))) > 0.5"#
            ),
            lasting: "5m",
            severity: WARNING,
            summary: "The gateway's pods count requests each by itself".to_owned(),
            description: "The store of the limits (spec.gateway.rateLimitStore) does not answer in time. Nobody is kept from working: each pod keeps its share.",
        },
        Alert {
            name: "HealthcareWatchStale",
            expr: format!("max by (kind) (healthcare_gateway_watch_age_seconds{{{of}}}) > 120"),
            lasting: "1m",
            severity: WARNING,
            summary: "The gateway has not heard of {{ $labels.kind }}s for two minutes".to_owned(),
            description: "It does not reach the API server: new routes and new pods are not seen.",
        },
    ]
}

fn of_the_services(context: &Context<'_>) -> [Alert; 4] {
    let of = selector(context);
    let stale = context.stack.auth.revocations_stale_after.secs();
    [
        Alert {
            name: "HealthcareServiceErrors",
            expr: format!(
                r#"sum by (service) (rate(healthcare_requests_total{{{of},status="5xx"}}[5m])) / sum by (service) (rate(healthcare_requests_total{{{of}}}[5m])) > 0.05"#
            ),
            lasting: "5m",
            severity: WARNING,
            summary: "More than 5 % of the answers of {{ $labels.service }} are errors".to_owned(),
            description: "Retries may hide it from those who use the gateway. See the service's log.",
        },
        Alert {
            name: "HealthcareCallsFail",
            // Not those that were cancelled, or had no time left: that says something of who asked. Not the breaker's state either: with nobody
            // asking it stays open, and nobody is kept from anything.
            expr: format!(
                r#"sum by (service, target) (rate(healthcare_client_calls_total{{{of},outcome!~"answered|cancelled|no_time"}}[5m])) / sum by (service, target) (rate(healthcare_client_calls_total{{{of}}}[5m])) > 0.05"#
            ),
            lasting: "5m",
            severity: WARNING,
            summary: "More than 5 % of the calls of {{ $labels.service }} to {{ $labels.target }} fail"
                .to_owned(),
            description: "Repetitions did not help, so what needs these calls fails too. The dashboard says how they end: `open` and `full` are refused by the caller's own breaker and bulkhead (spec.serviceCalls), the rest is the other service, or the way to it.",
        },
        Alert {
            name: "HealthcareRevocationsStale",
            expr: format!("max by (service) (healthcare_revocations_age_seconds{{{of}}}) > {stale}"),
            lasting: "1m",
            severity: CRITICAL,
            summary: "{{ $labels.service }} does not hear who was logged out".to_owned(),
            description: "It does not reach auth-service: changes are refused there, and who was logged out since reads on.",
        },
        Alert {
            name: "HealthcarePanic",
            expr: format!("sum by (service) (increase(healthcare_panics_total{{{of}}}[10m])) > 0"),
            lasting: "0m",
            severity: WARNING,
            summary: "{{ $labels.service }} met a mistake in its program".to_owned(),
            description: "One request ended by it. The log says where it was; please report it.",
        },
    ]
}
