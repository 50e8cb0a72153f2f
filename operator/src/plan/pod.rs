//! Pods, as they all are here: *restricted* as the Pod Security Standards have it, with a root that cannot be written to, settings in one
//! place and secrets in another. Deployments, Jobs and the managed PostgreSQL put theirs together from these parts.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, HTTPGetAction, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretKeySelector, SecretVolumeSource,
    SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use settings::SecretRef;
use stack::spec;

use super::{Context, labels};
use crate::digest::digest;

/// Whom our images run as.
pub const USER: i64 = 65_532;
/// Where settings are mounted.
pub const SETTINGS_DIR: &str = "/etc/healthcare";
/// The settings' key in their ConfigMap, and so their file.
pub const SETTINGS_FILE: &str = "settings.json";
/// Where secrets are mounted: `<dir>/<secret>/<key>`.
pub const SECRETS_DIR: &str = "/var/run/healthcare/secrets";
/// The port that a part answers others at.
pub const HTTP: &str = "http";
/// The port for those who watch.
pub const ADMIN: &str = "admin";
/// Secret files are for the pod's user and group alone, and not even they may write.
const SECRET_MODE: i32 = 0o440;

/// A pod of one container.
#[derive(Clone, Debug)]
pub struct Pod<'a> {
    /// Which part of the stack it is.
    pub part: &'a str,
    /// Its `ServiceAccount`. The token is not mounted.
    pub account: String,
    /// The container, as [`container`] begins it.
    pub container: Container,
    /// What is mounted into it.
    pub mounts: Mounts,
    /// Whom it runs as: [`USER`], if the image is ours.
    pub user: i64,
    /// Whether it speaks to the database: the network policy lets it.
    pub database: bool,
}

impl Pod<'_> {
    /// The template. It has no annotations: what rolls when its mounts change takes [`Mounts::checksums`] too.
    pub fn template(mut self, context: &Context<'_>) -> PodTemplateSpec {
        let mut labels = labels::all(&context.stack.name, self.part);
        if self.database {
            labels.insert(labels::DATABASE_CLIENT.0.to_owned(), labels::DATABASE_CLIENT.1.to_owned());
        }
        self.container.volume_mounts = some(self.mounts.places);
        let scheduling = &context.stack.scheduling;
        PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
            spec: Some(PodSpec {
                service_account_name: Some(self.account),
                automount_service_account_token: Some(false),
                enable_service_links: Some(false),
                image_pull_secrets: some(
                    context
                        .stack
                        .image
                        .pull_secrets
                        .iter()
                        .map(|name| LocalObjectReference { name: name.clone() })
                        .collect(),
                ),
                security_context: Some(pod_security(self.user)),
                node_selector: (!scheduling.node_selector.is_empty())
                    .then(|| scheduling.node_selector.clone()),
                tolerations: some(scheduling.tolerations.iter().map(toleration).collect()),
                priority_class_name: scheduling.priority_class_name.clone(),
                containers: vec![self.container],
                volumes: some(self.mounts.volumes),
                ..PodSpec::default()
            }),
        }
    }
}

/// Puts a container before those of a pod: it runs to its end before they start, after others that were put there.
pub(super) fn before(template: &mut PodTemplateSpec, mut container: Container, mounts: Mounts) {
    container.volume_mounts = some(mounts.places);
    let Some(pod) = &mut template.spec else { return };
    let volumes = pod.volumes.get_or_insert_default();
    for volume in mounts.volumes {
        if volumes.iter().all(|there| there.name != volume.name) {
            volumes.push(volume);
        }
    }
    pod.init_containers.get_or_insert_default().push(container);
}

fn toleration(asked: &spec::Toleration) -> Toleration {
    Toleration {
        key: asked.key.clone(),
        operator: written(&asked.operator),
        value: asked.value.clone(),
        effect: asked.effect.as_ref().and_then(written),
        toleration_seconds: asked.toleration_seconds.map(i64::from),
    }
}

/// A word of the resource's own, as it is written there. Kubernetes has the same words.
fn written(word: &impl Serialize) -> Option<String> {
    serde_json::to_value(word).ok()?.as_str().map(str::to_owned)
}

/// A container that may do nothing to its host. What it runs, and with what, is added by the caller.
pub fn container(context: &Context<'_>, name: &str, image: String) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image),
        image_pull_policy: written(&context.stack.image.pull_policy),
        security_context: Some(container_security()),
        // The end of its log becomes the reason that the stack's condition shows.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// One of the stack's own programs: it is told where its settings and secrets are.
pub fn program(context: &Context<'_>, name: &str, tag: &str, args: Vec<String>) -> Container {
    Container {
        args: Some(args),
        env: Some(vec![
            value("HEALTHCARE_SETTINGS", format!("{SETTINGS_DIR}/{SETTINGS_FILE}")),
            value("HEALTHCARE_SECRETS_DIR", SECRETS_DIR.to_owned()),
        ]),
        ..container(context, name, context.image(name, tag))
    }
}

fn pod_security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        // Secrets belong to root and to this group.
        fs_group: Some(user),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// Nothing that a container of ours needs is missing from this; init containers take it too.
pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// What is mounted into a container.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    volumes: Vec<Volume>,
    places: Vec<VolumeMount>,
    settings: Option<String>,
    secrets: Vec<(String, String)>,
    /// Of these, those that are read again by themselves.
    followed: Vec<String>,
}

impl Mounts {
    /// The settings' `ConfigMap`, and the text in it.
    #[must_use]
    pub fn settings(mut self, config_map: String, text: &str) -> Self {
        self.settings = Some(digest(text.as_bytes()));
        let source = ConfigMapVolumeSource { name: config_map, ..ConfigMapVolumeSource::default() };
        let volume = Volume { config_map: Some(source), ..volume("settings") };
        self.volume(volume, SETTINGS_DIR.to_owned(), true)
    }

    /// The Secret `object`, which the program inside knows as `name`. The pod waits for it.
    #[must_use]
    pub fn secret(self, name: &str, object: String) -> Self {
        self.mount(name, object, false)
    }

    fn mount(mut self, name: &str, object: String, optional: bool) -> Self {
        if self.secrets.iter().any(|(mounted, _)| mounted == name) {
            return self;
        }
        self.secrets.push((name.to_owned(), object.clone()));
        let source = SecretVolumeSource {
            secret_name: Some(object),
            default_mode: Some(SECRET_MODE),
            optional: optional.then_some(true),
            ..SecretVolumeSource::default()
        };
        let volume = Volume { secret: Some(source), ..volume(&short("secret", name)) };
        self.volume(volume, format!("{SECRETS_DIR}/{name}"), true)
    }

    /// The Secret that a user named, under that name.
    #[must_use]
    pub fn named_secret(self, name: &str) -> Self {
        self.secret(name, name.to_owned())
    }

    /// The same, for what the program reads again whenever it needs it: another value replaces no pod. Where the same Secret is needed for
    /// something else, it does.
    #[must_use]
    pub fn followed_secret(mut self, name: &str) -> Self {
        if !self.secrets.iter().any(|(mounted, _)| mounted == name) {
            self.followed.push(name.to_owned());
        }
        self.named_secret(name)
    }

    /// The same, for what the program goes on without: a pod does not wait for it, and sees it when it comes. Where another needs the same
    /// Secret, say so first.
    #[must_use]
    pub fn optional_secret(self, name: &str) -> Self {
        self.mount(name, name.to_owned(), true)
    }

    /// A folder that can be written to, empty at the start.
    #[must_use]
    pub fn scratch(self, name: &str, path: &str) -> Self {
        let volume = Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..volume(name) };
        self.volume(volume, path.to_owned(), false)
    }

    /// Any other volume.
    #[must_use]
    pub fn volume(mut self, volume: Volume, path: String, read_only: bool) -> Self {
        self.places.push(VolumeMount {
            name: volume.name.clone(),
            mount_path: path,
            read_only: read_only.then_some(true),
            ..VolumeMount::default()
        });
        self.volumes.push(volume);
        self
    }

    /// A mount of a volume that is not this pod's to name, such as a `StatefulSet`'s.
    #[must_use]
    pub fn claim(mut self, name: &str, path: &str) -> Self {
        let mount =
            VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() };
        self.places.push(mount);
        self
    }

    /// Annotations that change when what is mounted does, so that a pod template with them rolls. A Secret that is not there yet has none.
    pub fn checksums(&self, context: &Context<'_>) -> BTreeMap<String, String> {
        let settings = self.settings.iter().map(|sum| (labels::checksum("settings"), sum.clone()));
        let rolling = self.secrets.iter().filter(|(name, _)| !self.followed.contains(name));
        let secrets = rolling.filter_map(|(name, object)| secret_checksum(context, name, object));
        settings.chain(secrets).collect()
    }
}

/// The annotation for one Secret's data, if the Secret is there.
pub fn secret_checksum(context: &Context<'_>, name: &str, object: &str) -> Option<(String, String)> {
    let sum = context.checksums.get(object)?;
    Some((labels::checksum(&format!("secret-{name}")), sum.clone()))
}

/// `<prefix>-<name>` as a DNS label. The names of Secrets may be longer than a label, and have dots.
pub(super) fn short(prefix: &str, name: &str) -> String {
    let whole = format!("{prefix}-{name}");
    if whole.len() <= 63 && !whole.contains('.') {
        return whole;
    }
    format!("{prefix}--{}", digest(name.as_bytes()))
}

fn volume(name: &str) -> Volume {
    Volume { name: name.to_owned(), ..Volume::default() }
}

/// An environment variable.
pub fn value(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

/// An environment variable whose value is a field of the pod.
pub fn field_value(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: None, field_path: path.to_owned() }),
            ..EnvVarSource::default()
        }),
    }
}

/// An environment variable whose value is a secret. `optional`: without the Secret there is no such variable; else the pod waits for it.
pub fn secret_value(name: &str, secret: &SecretRef, optional: bool) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.secret.clone(),
                key: secret.key.clone(),
                optional: optional.then_some(true),
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// A port that others find by its name.
pub fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// CPU and memory.
pub fn resources(resources: &spec::Resources) -> ResourceRequirements {
    let amounts = |amounts: &Option<spec::ResourceAmounts>| {
        let amounts = amounts.as_ref()?;
        let named = [("cpu", &amounts.cpu), ("memory", &amounts.memory)];
        let map: BTreeMap<_, _> = named
            .into_iter()
            .filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount.as_ref()?.to_string()))))
            .collect();
        (!map.is_empty()).then_some(map)
    };
    ResourceRequirements {
        requests: amounts(&resources.requests),
        limits: amounts(&resources.limits),
        claims: None,
    }
}

/// A question over HTTP to the port [`ADMIN`]: a kubelet has no certificate to show at the other one, where others may also be in its way.
pub fn http_probe(probe: &spec::Probe, path: &str) -> Probe {
    let seconds = |span: spec::Span| i32::try_from(span.secs()).ok();
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: seconds(probe.initial_delay).filter(|seconds| *seconds > 0),
        period_seconds: seconds(probe.period),
        timeout_seconds: seconds(probe.timeout),
        failure_threshold: i32::try_from(probe.failure_threshold).ok(),
        ..Probe::default()
    }
}

/// Left out when empty: an empty list would be a field that the operator owns.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
