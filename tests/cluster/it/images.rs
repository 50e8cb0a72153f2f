//! The project's images: they start under the tightest security a pod can have, and resolve names although there is nothing beside the
//! binary. The image of PostgreSQL that stands in for the official one serves what the services need.

use std::time::Duration;

use cluster_tests::{Namespace, REGISTRY, VERSION, eventually};
use k8s_openapi::api::core::v1::Pod;

/// A service without settings says what is missing and ends: the image runs its binary, as user 65532 and with nothing to write to.
#[tokio::test]
async fn every_service_image_runs_its_service() {
    let namespace = Namespace::new("images");
    let images = [
        "medical-records-service",
        "patient-service",
        "appointment-service",
        "billing-service",
        "notification-service",
        "provider-service",
        "auth-service",
    ];
    for image in images {
        namespace.apply(
            &include_str!("pod.yaml")
                .replace("IMAGE_REFERENCE", &format!("{REGISTRY}/{image}:{VERSION}"))
                .replace("IMAGE", image),
        );
    }
    let pods = namespace.api::<Pod>().await;
    for image in images {
        let exit = eventually(&format!("the end of {image}"), Duration::from_mins(1), async || {
            let pod = pods.get(image).await.map_err(|error| error.to_string())?;
            let status = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
            let ended = status.first().and_then(|container| container.state.as_ref()?.terminated.clone());
            ended.ok_or_else(|| format!("{status:?}"))
        })
        .await;
        assert_eq!(exit.exit_code, 1, "{image}");
        let words = namespace.kubectl(&["logs", image]);
        assert_eq!(words, format!("{image}: HEALTHCARE_SETTINGS is not set\n"));
    }
}

/// As the services and the operator's script need it: another user than root, C.UTF-8, `btree_gist`, TLS, the tools of a backup.
#[tokio::test]
async fn the_postgres_image_serves_what_the_services_need() {
    let namespace = Namespace::new("postgres");
    namespace.apply(include_str!("postgres.yaml"));
    namespace.ready_pod("postgres", Duration::from_mins(1)).await;
    let sql = "create extension btree_gist; show server_encoding";
    let encoding = namespace.kubectl(&[
        "exec",
        "postgres",
        "--",
        "psql",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--command",
        sql,
    ]);
    assert_eq!(encoding, "UTF8\n");
    let dump = namespace.kubectl(&["exec", "postgres", "--", "pg_dump", "--schema-only"]);
    assert!(dump.contains("CREATE EXTENSION IF NOT EXISTS btree_gist"), "{dump}");
}
