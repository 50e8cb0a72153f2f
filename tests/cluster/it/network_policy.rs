//! The stack works with its `NetworkPolicies` in force, and nothing but its own flows gets through.

use std::time::Duration;

use blackbox::documented;
use cluster_tests::{Clinic, Enforced, Operator, eventually};

/// The network has heard of a new pod by then.
const IN_FORCE: Duration = Duration::from_secs(10);
/// A pod of somebody else's in the namespace, and one that passes itself off as the patient service.
const STRANGER: &str = "{}";
const PATIENT_SERVICE: &str = r"{app.kubernetes.io/name: patient-service, app.kubernetes.io/instance: clinic,
    healthcarestack.dev/stack: clinic, healthcarestack.dev/database: client, test: impostor}";

#[tokio::test]
async fn a_stack_works_with_its_policies_in_force_and_they_let_nothing_else_through() {
    let operator = Operator::install("policies").await;
    let _enforced = Enforced::in_namespace("policies");
    let clinic = operator.stack("clinic").ready().await;
    documented::flow(&clinic.anybody().await, &clinic.admin().await).await;
    // Auth asks every other service for it.
    let _ = clinic.admin().await.call("GET", "/api/audit?limit=5", None).await.expect(200);

    // As seen by a pod of the same namespace.
    let notification = clinic.pods("notification-service").await.remove(0);
    let notification = notification.status.and_then(|status| status.pod_ip).unwrap();
    let stranger = Probe::new(&clinic, "stranger", STRANGER).await;
    stranger.gets_to("clinic-api-gateway", 8080, "the gateway is there for everybody").await;
    stranger.gets_to(&notification, 9464, "and metrics for Prometheus, wherever it is").await;
    for (service, port) in [
        ("patient-service", 8082),
        ("auth-service", 8087),
        ("medical-records-service", 8081),
        ("postgres", 5432),
    ] {
        assert!(!stranger.reaches(&format!("clinic-{service}"), port), "a stranger reaches {service}");
    }

    // Whoever got into a service gets no further than the service does.
    let impostor = Probe::new(&clinic, "impostor", PATIENT_SERVICE).await;
    impostor.gets_to("clinic-postgres", 5432, "the patient service has a database").await;
    impostor.gets_to("clinic-auth-service", 8087, "it asks which tokens are revoked").await;
    assert!(!impostor.reaches("clinic-api-gateway", 8080), "it has no business at the gateway");
    assert!(!impostor.reaches(&notification, 9464), "nor with others' metrics");
}

/// A pod to try from.
struct Probe<'a> {
    clinic: &'a Clinic,
    name: &'static str,
}

impl<'a> Probe<'a> {
    async fn new(clinic: &'a Clinic, name: &'static str, labels: &str) -> Self {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {labels}}}, spec: {{
                terminationGracePeriodSeconds: 0, automountServiceAccountToken: false,
                securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}},
                containers: [{{name: probe, image: hcs.local/busybox:1, command: [sleep, '600'],
                    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}}}]}}}}"
        );
        clinic.namespace().apply(&pod);
        clinic.namespace().ready_pod(name, Duration::from_mins(1)).await;
        let probe = Self { clinic, name };
        // Until its policies are in force.
        if labels != STRANGER {
            eventually("policies for the probe", IN_FORCE, async || {
                if probe.reaches("clinic-api-gateway", 8080) { Err("not yet") } else { Ok(()) }
            })
            .await;
        }
        probe
    }

    /// Sees to it that a connection comes about, once the network has heard of the probe.
    async fn gets_to(&self, host: &str, port: u16, why: &str) {
        eventually(why, IN_FORCE, async || {
            if self.reaches(host, port) { Ok(()) } else { Err(format!("{host}:{port}")) }
        })
        .await;
    }

    /// Whether a connection comes about.
    fn reaches(&self, host: &str, port: u16) -> bool {
        let tried = self.clinic.namespace().ask(&[
            "exec",
            self.name,
            "--",
            "sh",
            "-c",
            &format!("nc -w 2 {host} {port} -e true 2>/dev/null && echo yes || echo no"),
        ]);
        match tried.lines().last() {
            Some("yes") => true,
            Some("no") => false,
            _ => panic!("{host}:{port}: {tried}"),
        }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.clinic.namespace().ask(&["delete", "pod", self.name, "--wait=false"]);
    }
}
