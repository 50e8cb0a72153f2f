//! Rules in CEL: what the API server asks of a resource beyond shapes and bounds, and of a change to one.
//!
//! They say again, in the API server's language, what [`crate::Stack`]'s own validation says, so that a resource is refused where it is
//! written; and they say what may not change, which only the API server can know, since it has the old resource beside the new one. Each
//! rule's message makes sense beside the path of its field.
//!
//! Where a schema has defaults, they are there when a rule is asked. The API server estimates what a rule may cost, from the bounds of
//! what it looks at, and refuses a definition with a dear one.

use contracts::permission::Permission;
use contracts::stand_in::Tells;
use kube::core::{Reason, Rule};
use settings::ServiceName;

use super::Span;

/// Of two ways to say how many pods, one.
pub(super) fn scale() -> Vec<Rule> {
    vec![
        rule("!has(self.replicas) || !has(self.autoscaling)", "must be left out when autoscaling is set")
            .field_path(".replicas"),
    ]
}

pub(super) fn autoscaling() -> Vec<Rule> {
    vec![rule("self.min <= self.max", "must be at most max").field_path(".min")]
}

/// What a pod requests is no more than what it may use.
pub(super) fn resources() -> Vec<Rule> {
    ["cpu", "memory"]
        .map(|name| {
            let both = ["requests", "limits"]
                .map(|side| format!("!has(self.{side}) || !has(self.{side}.{name})"))
                .join(" || ");
            let (request, limit) =
                (quantity(&format!("self.requests.{name}")), quantity(&format!("self.limits.{name}")));
            rule(
                format!("{both} || {request}.compareTo({limit}) <= 0"),
                &format!("must be at most limits.{name}"),
            )
            .field_path(format!(".requests.{name}"))
        })
        .into()
}

pub(super) fn env() -> Vec<Rule> {
    vec![
        rule("has(self.value) != has(self.secret)", "must have exactly one of value and secret"),
        rule("!self.name.startsWith('HEALTHCARE_')", "names that begin with HEALTHCARE_ are the stack's own")
            .field_path(".name")
            .reason(Reason::FieldValueForbidden),
    ]
}

/// A duration between two others, both allowed, the longer one of less than a day.
pub(super) fn between(min: &str, max: &str) -> Vec<Rule> {
    vec![rule(
        format!(
            "!self.contains('d') && [duration(self)].all(d, d >= duration('{min}') && d <= duration('{max}'))"
        ),
        &format!("must be between {min} and {max}"),
    )]
}

/// The same, and a probe counts in whole seconds.
pub(super) fn whole_seconds_between(min: &str, max: &str) -> Vec<Rule> {
    vec![rule(
        format!(
            "!self.contains('d') && [duration(self)].all(d, d >= duration('{min}') && d <= duration('{max}') && \
             d.getMilliseconds() % 1000 == 0)"
        ),
        &format!("must be whole seconds between {min} and {max}"),
    )]
}

/// A duration between `min` seconds and `max` days, both allowed.
pub(super) fn up_to_days(min: u32, max: u32) -> Vec<Rule> {
    vec![rule(
        format!("[{}].all(s, s >= {min} && s <= {})", seconds("self"), u64::from(max) * 86_400),
        &format!("must be between {min}s and {max}d"),
    )]
}

/// What others need is there, and somebody can sign in.
pub(super) fn services() -> Vec<Rule> {
    let needed = |name: &str, by: &[&str]| {
        let nobody =
            by.iter().map(|by| format!("!({})", enabled("self", by))).collect::<Vec<_>>().join(" && ");
        let by = by.join(", ");
        rule(
            format!("{} || ({nobody})", enabled("self", name)),
            &format!("must be true while one of these is enabled, which need it: {by}"),
        )
        .field_path(format!(".{name}.enabled"))
    };
    vec![
        rule(enabled("self", "auth"), "must be true: without auth nobody can sign in")
            .field_path(".auth.enabled"),
        needed("patient", &["appointment", "billing", "records"]),
        needed("provider", &["appointment"]),
    ]
}

/// Whether a service runs; `services` is where they are described.
fn enabled(services: &str, name: &str) -> String {
    format!("(!has({services}.{name}) || {services}.{name}.enabled)")
}

/// Beside [`scale`]: TLS ends in one place.
pub(super) fn gateway() -> Vec<Rule> {
    let mut rules = scale();
    rules.push(
        rule(
            "!has(self.tls) || !has(self.ingress)",
            "must be left out with ingress: what is behind an Ingress or a Gateway is spoken to without TLS",
        )
        .field_path(".tls"),
    );
    rules
}

pub(super) fn trusted_proxies() -> Vec<Rule> {
    vec![rule("self.all(network, isCIDR(network))", "each must be a network such as 10.0.0.0/8 or fd00::/8")]
}

pub(super) fn route() -> Vec<Rule> {
    let care = Span::from_secs(Tells::Care.stale_seconds_max().into());
    vec![
        rule(
            format!(
                "!({}) || !has(self.fallback) || !has(self.fallback.staleRead)",
                may_tell(Tells::Treatment)
            ),
            Tells::Treatment.stale_refused().unwrap_or_default(),
        )
        .field_path(".fallback.staleRead")
        .reason(Reason::FieldValueForbidden),
        rule(
            format!(
                "!({}) || !has(self.fallback) || !has(self.fallback.staleRead) || \
                 [self.fallback.staleRead.maxAge].all(s, s.contains('d') || duration(s) <= duration('{care}'))",
                may_tell(Tells::Care)
            ),
            &format!("must be at most {care} for what tells of a person's health"),
        )
        .field_path(".fallback.staleRead.maxAge"),
        rule(
            format!("!({}) || !has(self.fallback) || !has(self.fallback.static)", may_tell(Tells::Care)),
            Tells::Care.static_refused().unwrap_or_default(),
        )
        .field_path(".fallback.static")
        .reason(Reason::FieldValueForbidden),
        no_longer_than_timeout("self.hedge", "after").field_path(".hedge.after"),
        no_longer_than_timeout("self.retries", "perTry").field_path(".retries.perTry"),
        rule(
            "!has(self.auth) || self.auth != 'None' || !has(self.permissions) || size(self.permissions) == 0",
            "must be empty where auth is None: for a permission a token is needed",
        )
        .field_path(".permissions"),
    ]
}

/// Whether a route's answers may tell so much of a person's health: by its service, and by the permissions that it asks for.
fn may_tell(least: Tells) -> String {
    let list = |names: Vec<&str>| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let services = ServiceName::ALL.into_iter().filter(|service| Tells::of_service(*service) >= least);
    let permissions =
        Permission::ALL.iter().copied().filter(|permission| Tells::of_permission(*permission) >= least);
    format!(
        "self.service in [{}] || (has(self.permissions) && self.permissions.exists(name, name in [{}]))",
        list(services.map(ServiceName::short).collect()),
        list(permissions.map(Permission::as_str).collect()),
    )
}

fn no_longer_than_timeout(part: &str, name: &str) -> Rule {
    let span = format!("{part}.{name}");
    rule(
        format!(
            "!has({part}) || !has({span}) || [{span}, self.timeout].exists(s, s.contains('d')) || duration({span}) <= duration(self.timeout)"
        ),
        "must be at most the route's timeout",
    )
}

pub(super) fn retries() -> Vec<Rule> {
    vec![
        rule(
            "[self.backoff, self.maxBackoff].exists(s, s.contains('d')) || duration(self.backoff) <= duration(self.maxBackoff)",
            "must be at most maxBackoff",
        )
        .field_path(".backoff"),
    ]
}

pub(super) fn concurrency() -> Vec<Rule> {
    vec![rule("!has(self.min) || self.min <= self.max", "must be at most max").field_path(".min")]
}

pub(super) fn breaker() -> Vec<Rule> {
    vec![rule("self.minCalls <= self.windowCalls", "must be at most windowCalls").field_path(".minCalls")]
}

pub(super) fn service_port() -> Vec<Rule> {
    vec![
        rule("!has(self.nodePort) || self.type != 'ClusterIP'", "needs type NodePort or LoadBalancer")
            .field_path(".nodePort"),
    ]
}

/// An Ingress, or an `HTTPRoute` and what belongs to one.
pub(super) fn ingress() -> Vec<Rule> {
    ["className", "tls"]
        .map(|name| {
            rule(
                format!("!has(self.parentRefs) || size(self.parentRefs) == 0 || !has(self.{name})"),
                "must be left out with parentRefs: an HTTPRoute has none, its Gateway does",
            )
            .field_path(format!(".{name}"))
        })
        .into()
}

/// One kind of database, and the one that it was.
pub(super) fn database() -> Vec<Rule> {
    let mut rules = vec![exactly_one(&["managed", "external", "cloudNativePG"])];
    rules.extend(["managed", "external", "cloudNativePG"].map(|kind| {
        never(
            format!("has(self.{kind}) == has(oldSelf.{kind})"),
            "the kind of database cannot change: restore a backup into a new stack",
        )
    }));
    rules.push(
        never(
            "has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)",
            "cannot change: a database is filled once, when it is new",
        )
        .field_path(".restoreFrom"),
    );
    rules
}

/// A backup goes somewhere.
pub(super) fn backup() -> Vec<Rule> {
    vec![rule("has(self.volume) || has(self.objectStore)", "must have volume, objectStore or both")]
}

pub(super) fn restore_from() -> Vec<Rule> {
    vec![exactly_one(&["volume", "objectStore"])]
}

/// The managed PostgreSQL's major version: its files are read by no other.
pub(super) fn managed_version() -> Vec<Rule> {
    vec![never("self == oldSelf", "cannot change: restore a backup into a new stack of another version")]
}

/// CloudNativePG upgrades in place, and never back.
pub(super) fn cluster_version() -> Vec<Rule> {
    vec![never("self >= oldSelf", "must not be lower than it was: PostgreSQL does not go back")]
}

pub(super) fn storage() -> Vec<Rule> {
    vec![
        never(
            "has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)",
            "cannot change: a volume stays what it is",
        )
        .field_path(".className"),
        never(
            format!("{}.compareTo({}) >= 0", quantity("self.size"), quantity("oldSelf.size")),
            "must not be smaller than it was: volumes do not shrink",
        )
        .field_path(".size"),
    ]
}

/// The keeper that wraps is named, and stays named for as long as it is the one.
pub(super) fn encryption() -> Vec<Rule> {
    vec![
        rule("self.provider != 'Transit' || has(self.transit)", "needs transit, which says who that is")
            .field_path(".provider"),
        never(
            "self.provider != 'Transit' || oldSelf.provider == 'Transit' || has(oldSelf.transit)",
            TRANSIT_FIRST,
        )
        .field_path(".provider"),
        never(
            "(self.provider != 'Transit' && oldSelf.provider != 'Transit') || !has(oldSelf.transit) || (has(self.transit) && \
             self.transit.mount == oldSelf.transit.mount && self.transit.key == oldSelf.transit.key)",
            "mount and key must stay for as long as keys are wrapped by them",
        )
        .field_path(".transit"),
    ]
}

/// What was not there has to be made known before it is used.
const TRANSIT_FIRST: &str = "must be Secret until every pod knows the engine: name it in transit first, and wait until the stack is ready";

/// Keys travel to it.
pub(super) fn transit() -> Vec<Rule> {
    vec![
        rule(
            "self.address.startsWith('https://') || ['localhost', '127.0.0.1', '[::1]'].exists(host, \
             [self.address, self.address + '/'].exists(address, \
             address.startsWith('http://' + host + ':') || address.startsWith('http://' + host + '/')))",
            "must begin with https://: keys travel to it",
        )
        .field_path(".address"),
    ]
}

/// What is held as long as usual is held no longer than may be.
pub(super) fn appointments() -> Vec<Rule> {
    vec![
        rule("duration(self.slotHold) <= duration(self.slotHoldMax)", "must be at most slotHoldMax")
            .field_path(".slotHold"),
    ]
}

pub(super) fn auth() -> Vec<Rule> {
    let [access, refresh, session] = ["accessTokenLifetime", "refreshTokenLifetime", "sessionLifetime"]
        .map(|name| seconds(&format!("self.{name}")));
    vec![
        rule(format!("{refresh} > {access}"), "must be longer than accessTokenLifetime")
            .field_path(".refreshTokenLifetime"),
        rule(format!("{refresh} <= {session}"), "must be at most sessionLifetime")
            .field_path(".refreshTokenLifetime"),
    ]
}

/// Which of ours an identity provider's role may not be.
pub(super) fn outside_role() -> Vec<Rule> {
    vec![
        rule("self.role != 'service'", "service is for services alone").field_path(".role"),
        rule(
            "self.role != 'patient'",
            "patient is not mapped: the provider does not know which patient it is",
        )
        .field_path(".role"),
    ]
}

pub(super) fn outside_second_factor() -> Vec<Rule> {
    vec![rule(
        "has(self.amr) && size(self.amr) > 0 || has(self.acr) && size(self.acr) > 0",
        "must have amr, acr or both",
    )]
}

pub(super) fn mail() -> Vec<Rule> {
    vec![rule("has(self.username) == has(self.password)", "must have both username and password, or neither")]
}

pub(super) fn integrations() -> Vec<Rule> {
    let needs = |name: &str, fallback: &str| {
        rule(
            format!("!has(self.{fallback}) || size(self.{fallback}) == 0 || has(self.{name})"),
            &format!("must be left out without {name}"),
        )
        .field_path(format!(".{fallback}"))
    };
    let reports = rule("!has(self.mailReports) || has(self.mail)", "must be left out without mail")
        .field_path(".mailReports");
    vec![needs("mail", "mailFallback"), needs("sms", "smsFallback"), needs("publicUrl", "linkHosts"), reports]
}

pub(super) fn mail_fallback() -> Vec<Rule> {
    vec![rule(
        "self.all(mail, has(mail.username) == has(mail.password))",
        "each must have both username and password, or neither",
    )]
}

pub(super) fn push() -> Vec<Rule> {
    vec![rule("has(self.fcm) || has(self.webPush)", "must have fcm, webPush or both")]
}

pub(super) fn calendar() -> Vec<Rule> {
    vec![exactly_one(&["caldav", "google"])]
}

pub(super) fn fallback() -> Vec<Rule> {
    vec![
        exactly_one(&["unavailable", "staleRead", "static"]),
        rule(
            "!has(self.static) || self.static.status <= 203 || self.static.status >= 400",
            "must be the status of an answer with a body: 200 to 203, or 400 and above",
        )
        .field_path(".static.status"),
    ]
}

pub(super) fn toleration() -> Vec<Rule> {
    vec![
        rule("self.operator == 'Equal' || !has(self.value)", "must be left out with operator Exists")
            .field_path(".value"),
        rule("has(self.key) || self.operator == 'Exists'", "must be Exists without a key")
            .field_path(".operator"),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "needs effect NoExecute",
        )
        .field_path(".tolerationSeconds"),
    ]
}

pub(super) fn currency() -> Vec<Rule> {
    vec![never("self == oldSelf", "cannot change: amounts already written are not converted")]
}

/// What looks at several parts of the whole.
pub(super) fn stack() -> Vec<Rule> {
    let switched_off = ["patient", "appointment", "billing", "records", "notification", "provider", "auth"]
        .map(|name| format!("(route.service == '{name}' && !{})", enabled("self.services", name)))
        .join(" || ");
    vec![
        rule(
            format!(
                "!has(self.services) || !has(self.gateway) || !has(self.gateway.routes) || \
                 self.gateway.routes.all(route, !({switched_off}))"
            ),
            "one of them is for a service that is not enabled",
        )
        .field_path(".gateway.routes"),
        rule(
            "self.deletionPolicy != 'Backup' || (has(self.database) && has(self.database.backup))",
            "Backup needs database.backup, where the last backup goes",
        )
        .field_path(".deletionPolicy"),
        never(
            "!has(self.encryption) || self.encryption.provider != 'Transit' || has(oldSelf.encryption)",
            TRANSIT_FIRST,
        )
        .field_path(".encryption.provider"),
        never(
            "has(self.encryption) || !has(oldSelf.encryption) || oldSelf.encryption.provider != 'Transit'",
            "must stay for as long as keys are wrapped by its engine",
        )
        .field_path(".encryption"),
    ]
}

/// Of a reference to a Secret: what the stack calls its own is not for users.
pub(crate) fn secret() -> Vec<Rule> {
    let reserved = crate::names::RESERVED_SECRETS.map(|name| format!("'{name}'")).join(", ");
    let suffix = crate::names::RESERVED_SECRET_SUFFIX;
    vec![
        rule(
            format!("!(self.secret in [{reserved}]) && !self.secret.endsWith('{suffix}')"),
            "is what the stack calls a Secret of its own; choose another name",
        )
        .field_path(".secret")
        .reason(Reason::FieldValueForbidden),
    ]
}

fn rule(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueInvalid)
}

/// A rule of what may change.
fn never(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueForbidden)
}

fn exactly_one(names: &[&str]) -> Rule {
    let has = names.iter().map(|name| format!("has(self.{name})")).collect::<Vec<_>>().join(", ");
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    rule(
        format!("[{has}].exists_one(one, one)"),
        &format!("must have exactly one of {} and {last}", others.join(", ")),
    )
}

/// A [`super::Span`] in seconds. CEL's durations have no days; a span in days has nothing else.
fn seconds(span: &str) -> String {
    format!(
        "({span}.contains('d') ? duration({span}.replace('d', 'h')).getHours() * 86400 : duration({span}).getSeconds())"
    )
}

/// A [`super::Quantity`], which may be a number, as CEL's quantity.
fn quantity(value: &str) -> String {
    format!("quantity(string({value}))")
}
