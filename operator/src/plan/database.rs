//! The database, and the Job that makes roles and schemas in it.
//!
//! | `spec.database` | planned here |
//! |---|---|
//! | `managed` | a StatefulSet of one pod, its volume, its Service, its scripts |
//! | `cloudNativePG` | a `Cluster`, which CloudNativePG makes true |
//! | `external` | nothing: it is there |
//!
//! The volume is planned by itself rather than as a template of the StatefulSet: so it can be enlarged, and nothing that happens to the
//! StatefulSet takes the data with it. It belongs to no stack; see [`remains`](mod@super::remains).

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, ExecAction, KeyToPath, PersistentVolumeClaimVolumeSource, Probe,
    SecretVolumeSource, Service, ServiceAccount, ServicePort, ServiceSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ApiResource;
use serde_json::{Value, json};
use stack::spec::{CloudNativePgDatabase, ManagedDatabase, Resources};
use stack::{Database, Stack, names, plan::connections_max};

use super::claim::claim;
use super::job::{Patience, job};
use super::network_policy::POSTGRES_PORT;
use super::pod::{self, Mounts, Pod, SECRETS_DIR};
use super::{Context, labels};
use crate::object::Object;
use crate::secrets::setup::DATABASE;

mod settings;

/// Whom PostgreSQL runs as: the user `postgres` of Docker's official images.
pub(super) const USER: i64 = 999;
const DATA_DIR: &str = "/data";
const START: &str = include_str!("postgres/start.sh");
const PG_HBA: &str = include_str!("postgres/pg_hba.conf");

/// All sessions end at once; what takes time is the last checkpoint.
const GRACE_SECONDS: i64 = 120;

/// Its database may take long to come; it waits for that by itself. What it cannot do now it may do when the server's administrator has
/// looked at it.
const SETUP_PATIENCE: Patience = Patience { retries: 20, seconds_max: None };

/// What there is of a database, and the Job that prepares it as soon as it is known how to connect.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let mut objects = vec![Object::of(&account(context))];
    match &context.stack.database {
        Database::Managed(managed) => objects.extend(server(context, managed)),
        Database::CloudNativePg(cluster) if context.capabilities.cloud_native_pg => {
            objects.push(cloud_native_pg(context, cluster));
        }
        Database::CloudNativePg(_) | Database::External(_) => {}
    }
    if is_known(context) {
        objects.push(setup(context));
    }
    objects
}

/// Whether it is known how to connect as administrator.
pub(super) fn is_known(context: &Context<'_>) -> bool {
    context.checksums.contains_key(&context.name(names::DATABASE_ADMIN))
}

/// The account of everything that runs PostgreSQL's own programs. None of it speaks to the API server.
pub(super) fn account(context: &Context<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: context.owned(names::POSTGRES, context.name(names::POSTGRES)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn server(context: &Context<'_>, managed: &ManagedDatabase) -> [Object; 4] {
    let settings = settings::postgresql_conf(managed, connections_max(context.stack));
    let data = claim(context, names::POSTGRES, context.name(names::POSTGRES), &managed.storage);
    [
        Object::of(&config(context, &settings)),
        Object::of(&data),
        Object::of(&service(context)),
        Object::of(&stateful_set(context, managed, &settings)),
    ]
}

fn config(context: &Context<'_>, settings: &str) -> ConfigMap {
    let files = [("start.sh", START), ("postgresql.conf", settings), ("pg_hba.conf", PG_HBA)];
    ConfigMap {
        metadata: context.owned(names::POSTGRES, context.name(names::POSTGRES)),
        data: Some(files.map(|(name, text)| (name.to_owned(), text.to_owned())).into()),
        ..ConfigMap::default()
    }
}

fn service(context: &Context<'_>) -> Service {
    Service {
        metadata: context.owned(names::POSTGRES, context.name(names::POSTGRES)),
        spec: Some(ServiceSpec {
            selector: Some(labels::selector(&context.stack.name, names::POSTGRES)),
            ports: Some(vec![ServicePort {
                name: Some("postgres".to_owned()),
                port: POSTGRES_PORT.into(),
                target_port: Some(IntOrString::String("postgres".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn stateful_set(context: &Context<'_>, managed: &ManagedDatabase, settings: &str) -> StatefulSet {
    let name = context.name(names::POSTGRES);
    let config = Mounts::default().settings(name.clone(), &[settings, START, PG_HBA].concat());
    // The superuser's password is set when the server starts; a renewed certificate is read by the one that runs.
    let mounts = config.secret(names::POSTGRES, name.clone());
    let annotations = mounts.checksums(context);
    let mut template = Pod {
        part: names::POSTGRES,
        account: name.clone(),
        container: container(context, managed),
        mounts: mounts
            .volume(certificate(context), format!("{SECRETS_DIR}/tls"), true)
            .volume(claimed("data", name.clone()), DATA_DIR.to_owned(), false)
            .scratch("run", "/var/run/postgresql")
            .scratch("tmp", "/tmp"),
        user: USER,
        database: false,
    }
    .template(context);
    template.metadata.get_or_insert_default().annotations = Some(annotations);
    let spec = template.spec.get_or_insert_default();
    spec.termination_grace_period_seconds = Some(GRACE_SECONDS);
    // Going over every file at each start takes minutes, and gives the group more than PostgreSQL allows.
    spec.security_context.get_or_insert_default().fs_group_change_policy = Some("OnRootMismatch".to_owned());
    StatefulSet {
        metadata: context.owned(names::POSTGRES, name.clone()),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(name),
            // In order, a pod that never became ready would be waited for, even if the StatefulSet says by now how it would.
            pod_management_policy: Some("Parallel".to_owned()),
            selector: LabelSelector {
                match_labels: Some(labels::selector(&context.stack.name, names::POSTGRES)),
                ..LabelSelector::default()
            },
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn container(context: &Context<'_>, managed: &ManagedDatabase) -> Container {
    let probe = |period, failures| Probe {
        exec: Some(ExecAction {
            command: Some(words("pg_isready -q -h /var/run/postgresql -d postgres -U postgres")),
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    Container {
        command: Some(vec!["sh".to_owned(), format!("{}/start.sh", pod::SETTINGS_DIR)]),
        env: Some(vec![
            pod::value("CONFIG", pod::SETTINGS_DIR.to_owned()),
            pod::value("DATA", DATA_DIR.to_owned()),
            pod::value("SECRETS", SECRETS_DIR.to_owned()),
            pod::value("DATABASE", DATABASE.to_owned()),
        ]),
        ports: Some(vec![pod::port("postgres", POSTGRES_PORT)]),
        resources: Some(pod::resources(&resources(managed))),
        // After a crash it may have an hour of log to go through.
        startup_probe: Some(probe(1, 3_600)),
        readiness_probe: Some(probe(5, 2)),
        liveness_probe: Some(probe(10, 6)),
        ..pod::container(context, names::POSTGRES, image(context.stack))
    }
}

/// What runs when nothing is said: enough for a practice, not for a hospital.
fn resources(managed: &ManagedDatabase) -> Resources {
    managed.resources.clone().unwrap_or_else(settings::default_resources)
}

/// The certificate and its key; the CA's key stays out of the pod.
fn certificate(context: &Context<'_>) -> Volume {
    let item = |key: &str| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None };
    Volume {
        name: "tls".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(context.name(names::DATABASE_TLS)),
            default_mode: Some(0o440),
            items: Some(vec![item("tls.crt"), item("tls.key")]),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A volume by the name of its claim.
pub(super) fn claimed(name: &str, claim_name: String) -> Volume {
    Volume {
        name: name.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        ..Volume::default()
    }
}

/// The image with PostgreSQL's programs.
pub(super) fn image(stack: &Stack) -> String {
    match &stack.database {
        Database::Managed(managed) => managed.image(),
        Database::CloudNativePg(cluster) => cluster_image(cluster),
        Database::External(external) => external.image(),
    }
}

fn cluster_image(cluster: &CloudNativePgDatabase) -> String {
    format!("ghcr.io/cloudnative-pg/postgresql:{}", cluster.version)
}

/// It has no owner: CloudNativePG deletes the volumes with the `Cluster`, and data is not to go by accident.
fn cloud_native_pg(context: &Context<'_>, cluster: &CloudNativePgDatabase) -> Object {
    let name = context.name(names::POSTGRES);
    let metadata = serde_json::to_value(context.kept(names::POSTGRES, name.clone())).unwrap_or_default();
    let mut spec = json!({
        "instances": cluster.instances,
        "imageName": cluster_image(cluster),
        // The Job that makes the services' roles connects with it.
        "enableSuperuserAccess": true,
        "bootstrap": {"initdb": {"database": DATABASE, "dataChecksums": true, "encoding": "UTF8", "localeCollate": "C.UTF-8", "localeCType": "C.UTF-8"}},
        "postgresql": {"parameters": settings::cluster_parameters(connections_max(context.stack))},
        "storage": {"size": cluster.storage.size.to_string()},
    });
    if let Some(class) = &cluster.storage.class_name {
        spec["storage"]["storageClass"] = Value::from(class.as_str());
    }
    if let Some(resources) = &cluster.resources {
        spec["resources"] = serde_json::to_value(pod::resources(resources)).unwrap_or_default();
    }
    Object::foreign(cluster_resource(), name, json!({"metadata": metadata, "spec": spec}))
}

/// CloudNativePG's own kind.
pub(super) fn cluster_resource() -> ApiResource {
    ApiResource {
        group: "postgresql.cnpg.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "postgresql.cnpg.io/v1".to_owned(),
        kind: "Cluster".to_owned(),
        plural: "clusters".to_owned(),
    }
}

const SETUP: &str = "until pg_isready -q; do sleep 0.2; done
exec psql -X -q -f /var/run/healthcare/secrets/database-admin/setup.sql";

/// Runs again when a role, a password or the way to the server changes: all of that stands in the Secret whose digest it carries.
fn setup(context: &Context<'_>) -> Object {
    let admin = Mounts::default().secret(names::DATABASE_ADMIN, context.name(names::DATABASE_ADMIN));
    let annotations = admin.checksums(context);
    let mut template =
        client(context, names::DATABASE_SETUP, SETUP, admin, names::DATABASE_ADMIN).template(context);
    template.metadata.get_or_insert_default().annotations = Some(annotations);
    job(context, names::DATABASE_SETUP, template, SETUP_PATIENCE)
}

/// A pod that runs PostgreSQL's programs as the role whose Secret is mounted as `role`.
pub(super) fn client<'a>(
    context: &Context<'_>,
    part: &'a str,
    script: &str,
    mounts: Mounts,
    role: &str,
) -> Pod<'a> {
    Pod {
        part,
        account: context.name(names::POSTGRES),
        container: Container {
            command: Some(["sh", "-euc", script].map(str::to_owned).to_vec()),
            env: Some(vec![
                pod::value("PGSERVICEFILE", format!("{SECRETS_DIR}/{role}/pg_service.conf")),
                pod::value("PGSERVICE", crate::secrets::server::SERVICE.to_owned()),
            ]),
            ..pod::container(context, part, image(context.stack))
        },
        mounts,
        user: USER,
        database: true,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
