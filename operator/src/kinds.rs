//! [`Kind`]: every kind of object that the operator makes, how it is watched, and what tells that one of them was changed.

use std::sync::LazyLock;

use kube::core::ApiResource;

use crate::plan::Capabilities;

/// One kind of object that the operator makes.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Group, version, kind, and its name in paths.
    pub resource: ApiResource,
    /// How much of each object is read.
    pub view: View,
    /// What tells that somebody changed one.
    pub mark: Mark,
    /// Whether the cluster knows it only if other software is installed.
    pub needs: Option<fn(&Capabilities) -> bool>,
}

/// How much of each object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Metadata alone.
    Metadata,
    /// What stands in [`crate::thin::Thin`]; the rest is skipped as it is parsed.
    Thin,
}

/// What tells that somebody changed an object, and that its status did not merely move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The API server counts changes of the spec.
    Generation,
    /// There is no status that moves: every change counts.
    ResourceVersion,
    /// Neither is so: the spec itself is compared.
    Spec,
}

/// A kind's place in [`Kind::all`]: what the caches call it, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(u8);

impl KindId {
    /// The kind itself.
    pub fn kind(self) -> &'static Kind {
        &Kind::all()[usize::from(self.0)]
    }
}

impl Kind {
    /// All of them.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// Those that this cluster knows.
    pub fn known(capabilities: &Capabilities) -> impl Iterator<Item = (KindId, &'static Self)> {
        Self::numbered().filter(|(_, kind)| kind.needs.is_none_or(|needs| needs(capabilities)))
    }

    /// The number of a kind; `None` for one that the operator does not make.
    pub fn id(group: &str, kind: &str) -> Option<KindId> {
        Self::numbered()
            .find(|(_, known)| known.resource.group == group && known.resource.kind == kind)
            .map(|(id, _)| id)
    }

    fn numbered() -> impl Iterator<Item = (KindId, &'static Self)> {
        (0_u8..).map(KindId).zip(Self::all())
    }
}

static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    use Mark::{Generation, ResourceVersion, Spec};
    use View::{Metadata, Thin};
    let own = |group: &str, kind: &str, plural: &str, view, mark| Kind {
        resource: resource(group, "v1", kind, plural),
        view,
        mark,
        needs: None,
    };
    let foreign = |group: &str, kind: &str, plural: &str, view, needs: fn(&Capabilities) -> bool| Kind {
        resource: resource(group, "v1", kind, plural),
        view,
        mark: Generation,
        needs: Some(needs),
    };
    vec![
        own("", "ServiceAccount", "serviceaccounts", Metadata, ResourceVersion),
        own("", "ConfigMap", "configmaps", Metadata, ResourceVersion),
        own("", "Secret", "secrets", Metadata, ResourceVersion),
        // Whoever balances its load writes an address to it.
        own("", "Service", "services", Thin, Spec),
        // Whoever binds it writes to it.
        own("", "PersistentVolumeClaim", "persistentvolumeclaims", Thin, Spec),
        own("rbac.authorization.k8s.io", "Role", "roles", Metadata, ResourceVersion),
        own("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", Metadata, ResourceVersion),
        own("networking.k8s.io", "NetworkPolicy", "networkpolicies", Metadata, Generation),
        own("networking.k8s.io", "Ingress", "ingresses", Thin, Generation),
        own("policy", "PodDisruptionBudget", "poddisruptionbudgets", Metadata, Generation),
        Kind {
            resource: resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            view: Thin,
            mark: Spec,
            needs: None,
        },
        own("apps", "Deployment", "deployments", Thin, Generation),
        own("apps", "StatefulSet", "statefulsets", Thin, Generation),
        own("batch", "Job", "jobs", Thin, Generation),
        own("batch", "CronJob", "cronjobs", Metadata, Generation),
        foreign("gateway.networking.k8s.io", "HTTPRoute", "httproutes", Thin, |has| has.http_route),
        foreign("monitoring.coreos.com", "PodMonitor", "podmonitors", Metadata, |has| has.pod_monitor),
        foreign("monitoring.coreos.com", "PrometheusRule", "prometheusrules", Metadata, |has| {
            has.prometheus_rule
        }),
        foreign("postgresql.cnpg.io", "Cluster", "clusters", Thin, |has| has.cloud_native_pg),
    ]
});

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number() {
        for kind in Kind::all() {
            let id = Kind::id(&kind.resource.group, &kind.resource.kind).expect("every kind has a number");
            assert_eq!(id.kind().resource, kind.resource);
        }
        assert_eq!(Kind::id("apps", "DaemonSet"), None);
    }
}
