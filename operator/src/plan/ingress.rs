//! The way in by a host name: an Ingress, or for the Gateway API an `HTTPRoute`.

use k8s_openapi::api::networking::v1::{
    self as networking, HTTPIngressPath, HTTPIngressRuleValue, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use settings::GATEWAY_PORT;
use stack::spec::ParentRef;
use stack::{Ingress, IngressBy, names};

use super::Context;
use crate::object::Object;

/// What the stack asks for, if the cluster knows it.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    context.stack.gateway.ingress.iter().filter_map(|asked| way_in(context, asked)).collect()
}

fn way_in(context: &Context<'_>, asked: &Ingress) -> Option<Object> {
    let metadata = ObjectMeta {
        annotations: (!asked.annotations.is_empty()).then(|| asked.annotations.clone()),
        ..context.owned(names::API_GATEWAY, context.name(names::API_GATEWAY))
    };
    match &asked.by {
        IngressBy::Ingress { class_name, tls_secret } => {
            let spec = ingress(context, &asked.host, class_name.clone(), tls_secret.clone());
            Some(Object::of(&networking::Ingress { metadata, spec: Some(spec), status: None }))
        }
        IngressBy::HttpRoute { parents } => {
            let body = json!({ "metadata": metadata, "spec": http_route(context, &asked.host, parents) });
            let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
            let kind = ApiResource::from_gvk_with_plural(&kind, "httproutes");
            let route = || Object::foreign(kind, context.name(names::API_GATEWAY), body);
            context.capabilities.http_route.then(route)
        }
    }
}

fn ingress(context: &Context<'_>, host: &str, class: Option<String>, tls: Option<String>) -> IngressSpec {
    let gateway = IngressServiceBackend {
        name: context.name(names::API_GATEWAY),
        port: Some(ServiceBackendPort { number: Some(GATEWAY_PORT.into()), name: None }),
    };
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend { service: Some(gateway), resource: None },
    };
    IngressSpec {
        ingress_class_name: class,
        rules: Some(vec![IngressRule {
            host: Some(host.to_owned()),
            http: Some(HTTPIngressRuleValue { paths: vec![path] }),
        }]),
        tls: tls
            .map(|secret| vec![IngressTLS { hosts: Some(vec![host.to_owned()]), secret_name: Some(secret) }]),
        default_backend: None,
    }
}

fn http_route(context: &Context<'_>, host: &str, parents: &[ParentRef]) -> Value {
    let parents: Vec<_> = parents.iter().map(parent).collect();
    json!({
        "parentRefs": parents,
        "hostnames": [host],
        "rules": [{ "backendRefs": [{ "name": context.name(names::API_GATEWAY), "port": GATEWAY_PORT }] }],
    })
}

/// What is left out is left out: the API server has defaults of its own for it.
fn parent(parent: &ParentRef) -> Value {
    let mut reference = json!({ "name": parent.name });
    for (member, value) in [("namespace", &parent.namespace), ("sectionName", &parent.section_name)] {
        if let Some(value) = value {
            reference[member] = json!(value);
        }
    }
    reference
}
