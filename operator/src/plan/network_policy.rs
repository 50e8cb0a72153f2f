//! Network policies: nothing may speak to anything, and then just the flows that exist. They say by label whom a pod may speak to; a cluster
//! whose network does not know them is as open as before.
//!
//! What runs outside the stack has an address that is not known here. Then the port alone is allowed: DNS, the API server, mail servers,
//! whoever takes text and push messages, a database that somebody else runs, an object store, a Redis where limits are counted, a transit engine, a calendar, an identity
//! provider, a collector of traces, a Prometheus.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use settings::{ADMIN_PORT, GATEWAY_PORT, MailSettings, ServiceName};
use stack::{Database, names};

use super::pod::some;
use super::{Context, config, labels, object_store};
use crate::object::Object;

/// PostgreSQL's port.
pub const POSTGRES_PORT: u16 = 5432;
/// The API server's, in front of its Service and behind it: networks differ in which of the two they look at. Behind it stands 6443, but for
/// managed clusters (443), minikube (8443) and `MicroK8s` (16443).
const API_SERVER_PORTS: [u16; 4] = [443, 6443, 8443, 16443];
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;

/// A policy for all pods, one for each part, and those of the database; unless the stack wants none.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    if !context.stack.network_policy.enabled {
        return Vec::new();
    }
    let services = context.stack.enabled().map(|service| service_policy(context, service));
    let database = match context.stack.database {
        Database::Managed(_) => Some(postgres(context)),
        Database::External(_) | Database::CloudNativePg(_) => None,
    };
    [default_deny(context), database_clients(context), gateway(context)]
        .into_iter()
        .chain(services)
        .chain(database)
        .chain(object_store_clients(context))
        .map(|policy| Object::of(&policy))
        .collect()
}

/// Whom a service asks, or tells of what happened. Auth is asked by all, itself among them: for keys, and for who was logged out.
const fn callees(service: ServiceName) -> &'static [ServiceName] {
    use ServiceName as S;
    match service {
        S::PatientService => &[
            S::AppointmentService,
            S::BillingService,
            S::MedicalRecordsService,
            S::NotificationService,
            S::AuthService,
        ],
        S::AppointmentService => {
            &[S::PatientService, S::ProviderService, S::NotificationService, S::AuthService]
        }
        S::BillingService | S::MedicalRecordsService => &[S::PatientService, S::AuthService],
        S::NotificationService => {
            &[S::PatientService, S::AppointmentService, S::ProviderService, S::AuthService]
        }
        S::ProviderService => &[S::AppointmentService, S::NotificationService, S::AuthService],
        // It reads what each has in its audit, and what their keys are wrapped under.
        S::AuthService => &S::ALL,
    }
}

fn default_deny(context: &Context<'_>) -> NetworkPolicy {
    let stack = [(labels::STACK.to_owned(), names::label(&context.stack.name))].into();
    policy(context, names::DEFAULT_DENY, select(stack), Vec::new(), Vec::new())
}

fn service_policy(context: &Context<'_>, service: ServiceName) -> NetworkPolicy {
    let callers =
        context.stack.enabled().filter(|caller| callees(*caller).contains(&service)).map(ServiceName::as_str);
    let from = [names::API_GATEWAY].into_iter().chain(callers).map(|part| part_pods(context, part)).collect();
    let callees = callees(service).iter().filter(|callee| context.stack.is_enabled(**callee));
    let mut egress: Vec<_> = callees.map(|callee| to_service(context, *callee)).collect();
    egress.push(dns());
    egress.extend(channels(context, service));
    egress.extend(calendars(context, service));
    egress.extend(npi_registry(context, service));
    egress.extend(webhooks(context, service));
    egress.extend(identity_providers(context, service));
    egress.extend(collector(context));
    let ingress = vec![admit(from, service.port()), admit_metrics(context)];
    policy(context, service.as_str(), part_selector(context, service.as_str()), ingress, egress)
}

fn gateway(context: &Context<'_>) -> NetworkPolicy {
    let mut egress: Vec<_> = context.stack.enabled().map(|service| to_service(context, service)).collect();
    egress.extend([dns(), to(Vec::new(), &API_SERVER_PORTS)]);
    let store = context.stack.gateway.rate_limit_store.iter();
    egress.extend(store.map(|store| to(address(&store.host).into_iter().collect(), &[store.port])));
    egress.extend(collector(context));
    egress.extend(prometheus(context));
    let from = namespaces(&context.stack.network_policy.gateway_from);
    let ingress = vec![admit(from.into_iter().collect(), GATEWAY_PORT), admit_metrics(context)];
    policy(context, names::API_GATEWAY, part_selector(context, names::API_GATEWAY), ingress, egress)
}

/// Services and Jobs alike: whoever says of itself that it speaks to the database.
fn database_clients(context: &Context<'_>) -> NetworkPolicy {
    let database = match &context.stack.database {
        Database::Managed(_) => to(vec![part_pods(context, names::POSTGRES)], &[POSTGRES_PORT]),
        Database::CloudNativePg(_) => {
            let cluster = [("cnpg.io/cluster".to_owned(), context.name(names::POSTGRES))].into();
            to(
                vec![NetworkPolicyPeer {
                    pod_selector: Some(select(cluster)),
                    ..NetworkPolicyPeer::default()
                }],
                &[POSTGRES_PORT],
            )
        }
        // Its address and port are in a Secret, which is not read here.
        Database::External(_) => NetworkPolicyEgressRule {
            ports: Some(vec![NetworkPolicyPort {
                protocol: Some("TCP".to_owned()),
                ..NetworkPolicyPort::default()
            }]),
            to: None,
        },
    };
    let mut egress = vec![dns(), database];
    egress.extend(transit(context));
    policy(context, names::DATABASE_CLIENTS, client_selector(context), Vec::new(), egress)
}

/// The Jobs that carry backups to a bucket, or from one.
fn object_store_clients(context: &Context<'_>) -> Option<NetworkPolicy> {
    let mut egress: Vec<_> = object_store::addresses(context.stack)
        .into_iter()
        .map(|(host, port)| to(address(&host).into_iter().collect(), &[port]))
        .collect();
    if egress.is_empty() {
        return None;
    }
    egress.dedup();
    egress.insert(0, dns());
    let (key, value) = labels::OBJECT_STORE_CLIENT;
    let stack = (labels::STACK.to_owned(), names::label(&context.stack.name));
    let clients = select([stack, (key.to_owned(), value.to_owned())].into());
    Some(policy(context, names::OBJECT_STORE_CLIENTS, clients, Vec::new(), egress))
}

fn postgres(context: &Context<'_>) -> NetworkPolicy {
    let clients =
        NetworkPolicyPeer { pod_selector: Some(client_selector(context)), ..NetworkPolicyPeer::default() };
    let ingress = vec![admit(vec![clients], POSTGRES_PORT)];
    policy(context, names::POSTGRES, part_selector(context, names::POSTGRES), ingress, Vec::new())
}

fn policy(
    context: &Context<'_>,
    part: &str,
    pods: LabelSelector,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: context.owned(part, context.name(part)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: some(ingress),
            egress: some(egress),
        }),
    }
}

fn select(labels: std::collections::BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn part_selector(context: &Context<'_>, part: &str) -> LabelSelector {
    select(labels::selector(&context.stack.name, part))
}

fn client_selector(context: &Context<'_>) -> LabelSelector {
    let (key, value) = labels::DATABASE_CLIENT;
    let stack = (labels::STACK.to_owned(), names::label(&context.stack.name));
    select([stack, (key.to_owned(), value.to_owned())].into())
}

fn part_pods(context: &Context<'_>, part: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(part_selector(context, part)), ..NetworkPolicyPeer::default() }
}

fn to_service(context: &Context<'_>, service: ServiceName) -> NetworkPolicyEgressRule {
    to(vec![part_pods(context, service.as_str())], &[service.port()])
}

/// To these peers, or if there are none to anywhere, at these TCP ports.
fn to(peers: Vec<NetworkPolicyPeer>, ports: &[u16]) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: some(peers),
        ports: Some(ports.iter().map(|port| at("TCP", *port)).collect()),
    }
}

/// From these peers, or if there are none from anywhere.
fn admit(peers: Vec<NetworkPolicyPeer>, port: u16) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: some(peers), ports: Some(vec![at("TCP", port)]) }
}

/// From pods of the cluster: those of the namespaces that are named, or if none is of all. The node's own kubelet, which asks there how the pod
/// is, needs no leave: what comes from the node that a pod runs on is never kept from it.
fn admit_metrics(context: &Context<'_>) -> NetworkPolicyIngressRule {
    let anywhere = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    admit(vec![namespaces(&context.stack.network_policy.metrics_from).unwrap_or(anywhere)], ADMIN_PORT)
}

/// The pods of these namespaces, if any is named.
fn namespaces(names: &[String]) -> Option<NetworkPolicyPeer> {
    let among = LabelSelectorRequirement {
        key: "kubernetes.io/metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(names.to_vec()),
    };
    (!names.is_empty()).then(|| NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![among]),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    })
}

/// To anywhere: name servers run in pods, on nodes and outside.
fn dns() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: None, ports: Some(vec![at("UDP", DNS_PORT), at("TCP", DNS_PORT)]) }
}

/// Where messages go. A phone's own push service, and where its key is taken to for a token, are everybody's: `https`, wherever they are.
fn channels(context: &Context<'_>, service: ServiceName) -> Vec<NetworkPolicyEgressRule> {
    let outside = config::settings(context, service).integrations;
    let mut egress: Vec<_> = outside.mail.iter().chain(&outside.mail_fallback).map(mail).collect();
    egress.extend(outside.sms.iter().chain(&outside.sms_fallback).filter_map(|sms| to_url(&sms.url)));
    if let Some(push) = &outside.push {
        egress.extend(push.fcm.iter().filter_map(|fcm| to_url(&fcm.url)));
        egress.push(to(Vec::new(), &[HTTPS_PORT]));
    }
    egress.dedup();
    egress
}

fn mail(mail: &MailSettings) -> NetworkPolicyEgressRule {
    to(address(&mail.host).into_iter().collect(), &[mail.port])
}

/// Where calendars outside are that appointments are kept in step with.
fn calendars(context: &Context<'_>, service: ServiceName) -> Vec<NetworkPolicyEgressRule> {
    let calendars = config::settings(context, service).integrations.calendars;
    let urls = calendars.iter().flat_map(|calendar| {
        let caldav = calendar.caldav.iter().map(|caldav| &caldav.url);
        let google = calendar.google.iter().flat_map(|google| [&google.url, &google.token_url]);
        caldav.chain(google)
    });
    let mut egress = Vec::new();
    for rule in urls.filter_map(|url| to_url(url)) {
        if !egress.contains(&rule) {
            egress.push(rule);
        }
    }
    egress
}

/// Where webhooks are: `https`, wherever they are.
fn webhooks(context: &Context<'_>, service: ServiceName) -> Option<NetworkPolicyEgressRule> {
    config::settings(context, service).integrations.webhooks.map(|_| to(Vec::new(), &[HTTPS_PORT]))
}

/// Where providers' NPIs are looked up.
fn npi_registry(context: &Context<'_>, service: ServiceName) -> Option<NetworkPolicyEgressRule> {
    to_url(&config::settings(context, service).integrations.npi_registry?.url)
}

/// Where the keys are unwrapped that the database's data is sealed under, by services and by Jobs.
fn transit(context: &Context<'_>) -> Option<NetworkPolicyEgressRule> {
    to_url(&context.stack.encryption.transit.as_ref()?.address)
}

/// Where people log in outside. A provider may have its keys at another host, but hardly at another port.
fn identity_providers(context: &Context<'_>, service: ServiceName) -> Vec<NetworkPolicyEgressRule> {
    let providers = config::settings(context, service).auth.identity_providers;
    let mut egress: Vec<_> = providers.iter().filter_map(|provider| to_url(&provider.issuer)).collect();
    egress.dedup();
    egress
}

/// Where traces go.
fn collector(context: &Context<'_>) -> Option<NetworkPolicyEgressRule> {
    to_url(&context.stack.observability.tracing.as_ref()?.endpoint)
}

/// Where the gateway reads what all gateways have counted.
fn prometheus(context: &Context<'_>) -> Option<NetworkPolicyEgressRule> {
    to_url(&context.stack.observability.prometheus.as_ref()?.url)
}

fn to_url(url: &str) -> Option<NetworkPolicyEgressRule> {
    let (host, port) = object_store::address(url)?;
    Some(to(address(&host).into_iter().collect(), &[port]))
}

/// A host that is called by its address. What a name stands for may change, and is not known here.
fn address(host: &str) -> Option<NetworkPolicyPeer> {
    let address = host.parse::<IpAddr>().ok()?;
    Some(NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    })
}

fn at(protocol: &str, port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port.into())),
        end_port: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use contracts::event::{AppointmentNotice, CredentialNotice, What};
    use contracts::id::{AppointmentId, CredentialId, PatientId, ProviderId};

    use super::*;

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .collect()
    }

    /// The services that a service's own code makes a way to: `kit.transport(ServiceName::PatientService)`.
    fn asked(service: ServiceName) -> BTreeSet<ServiceName> {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../services").join(service.short()).join("src");
        let code: String = sources(&folder).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        // Whoever asks by a name that they have from elsewhere asks all.
        let asks_all = code.contains("transport(name)");
        let callees = ServiceName::ALL.into_iter().filter(|callee| {
            asks_all
                || code.contains(&format!("transport(ServiceName::{callee:?})"))
                || code.contains(&format!("transport(settings::ServiceName::{callee:?})"))
        });
        callees.collect()
    }

    /// The services that a service tells of what happened.
    fn told(service: ServiceName) -> BTreeSet<ServiceName> {
        let notice = || AppointmentNotice {
            appointment_id: AppointmentId::parse("a").unwrap(),
            patient_id: PatientId::parse("p").unwrap(),
            provider_id: ProviderId::parse("d").unwrap(),
            outside_hours: false,
            planned: None,
        };
        let events = [
            What::PatientErased { patient_id: PatientId::parse("p").unwrap() },
            What::ProviderRemoved { provider_id: ProviderId::parse("d").unwrap() },
            What::ProviderScheduleChanged { provider_id: ProviderId::parse("d").unwrap(), version: 1 },
            What::CredentialExpiring(CredentialNotice {
                credential_id: CredentialId::parse("c").unwrap(),
                provider_id: ProviderId::parse("d").unwrap(),
                expires_on: "2026-03-01".to_owned(),
            }),
            What::AppointmentBooked(notice()),
            What::AppointmentRescheduled(notice()),
            What::AppointmentCancelled(notice()),
        ];
        let own = events.iter().filter(|event| event.is_told_by(service));
        own.flat_map(What::subscribers).copied().collect()
    }

    #[test]
    fn exactly_the_flows_that_the_code_has_are_allowed() {
        for service in ServiceName::ALL {
            let mut flows = &asked(service) | &told(service);
            // http-kit, for every service: the keys, and who was logged out.
            flows.insert(ServiceName::AuthService);
            if service == ServiceName::AuthService {
                // It asks each that there is (`kit.optional_transport` in a loop).
                flows.extend(ServiceName::ALL);
            }
            assert_eq!(callees(service).iter().copied().collect::<BTreeSet<_>>(), flows, "{service}");
        }
    }
}
