//! The gateway. It watches its own configuration, and so does not roll when that changes.

use k8s_openapi::api::apps::v1::Deployment;
use settings::{ADMIN_PORT, GATEWAY_PORT, SecretRef};
use stack::names;
use stack::spec::{GatewayTls, Probes};

use crate::plan::pod::{self, Mounts, Pod};
use crate::plan::{Context, service_account};

pub(super) fn deployment(context: &Context<'_>, tag: &str) -> Deployment {
    let gateway = &context.stack.gateway;
    let probes = Probes::default();
    let mut container = pod::container(context, names::API_GATEWAY, context.image(names::API_GATEWAY, tag));
    container.args = Some(args(context));
    container.env = Some(vec![
        pod::value("HEALTHCARE_SECRETS_DIR", pod::SECRETS_DIR.to_owned()),
        // Where it is, so that it can prefer pods of its own zone. Not an argument: an older gateway would not start with it.
        pod::field_value("HEALTHCARE_NODE", "spec.nodeName"),
    ]);
    container.ports = Some(vec![pod::port(pod::HTTP, GATEWAY_PORT), pod::port(pod::ADMIN, ADMIN_PORT)]);
    container.resources = Some(pod::resources(&gateway.resources));

    let own = Mounts::default()
        .secret(names::API_GATEWAY_IDENTITY, context.name(names::API_GATEWAY_IDENTITY))
        .secret(names::TLS, context.name(&names::tls(names::API_GATEWAY)));
    // The certificate at the front is no reason to roll: the gateway reads it again by itself.
    let mut annotations = own.checksums(context);
    annotations.extend(service_account::checksum(context, &context.name(names::API_GATEWAY)));
    // Nor is what the collector of traces asks for.
    let certificate = gateway.tls.iter().flat_map(|tls| [&tls.certificate, &tls.private_key]);
    // Nor is the password of the store where limits are counted: it is read for each connection.
    let store = gateway.rate_limit_store.iter();
    let store = store.flat_map(|store| store.password.iter().chain(store.tls.iter().flat_map(|tls| &tls.ca)));
    let tracing = context.stack.observability.tracing.iter().flat_map(stack::spec::Tracing::secrets);
    // Without these it counts by itself, and sends no traces; without a certificate it could not answer.
    let mounts = certificate.fold(own, |mounts, secret| mounts.named_secret(&secret.secret));
    let mounts = store.chain(tracing).fold(mounts, |mounts, secret| mounts.optional_secret(&secret.secret));
    let mut template = Pod {
        part: names::API_GATEWAY,
        account: context.name(names::API_GATEWAY),
        container: super::watched(container, &probes),
        mounts,
        user: pod::USER,
        database: false,
    }
    .template(context);
    template.metadata.get_or_insert_default().annotations = Some(annotations);
    template.spec.get_or_insert_default().automount_service_account_token = Some(true);
    super::deployment(context, names::API_GATEWAY, tag, gateway.scale, &probes, template)
}

fn args(context: &Context<'_>) -> Vec<String> {
    let mut args = vec![
        "kubernetes".to_owned(),
        format!("--namespace={}", context.stack.namespace),
        format!("--config-map={}", context.name(names::API_GATEWAY)),
        // A pod may have an address of either family, or of both.
        format!("--listen=[::]:{GATEWAY_PORT}"),
        format!("--admin-listen=[::]:{ADMIN_PORT}"),
        format!("--upstream-tls={}/{}", pod::SECRETS_DIR, names::TLS),
    ];
    if let Some(GatewayTls { certificate, private_key }) = &context.stack.gateway.tls {
        let file = |secret: &SecretRef| format!("{}/{}/{}", pod::SECRETS_DIR, secret.secret, secret.key);
        args.push(format!("--tls-cert={}", file(certificate)));
        args.push(format!("--tls-key={}", file(private_key)));
    }
    args
}
