//! `kubectl healthcare` against a real stack: what a person sees, the exit codes, and what they are told to do when it cannot be done.
//! Backups, restores and rotations by it: `backup.rs`, `schedule.rs`, `rotation.rs`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cluster_tests::{Clinic, Cluster, Namespace, Told, VERSION, kubectl_with_plugin};
use kube::ResourceExt;
use serde_json::{Value, json};
use stack::condition::{kind, reason};

const SOON: Duration = Duration::from_secs(20);

/// A subcommand that goes on until it is interrupted.
struct Running {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(namespace: &Namespace, arguments: &[&str]) -> Self {
        let mut command = namespace.healthcare_command();
        command.args(arguments).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    /// The next line that has this in it.
    fn says(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(SOON);
            let line = line.unwrap_or_else(|_| panic!("it does not say {words}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A line that has this in it, as soon as somebody calls while it looks on.
    async fn shows(&self, words: &str, call: impl AsyncFn()) -> String {
        let begun = Instant::now();
        while begun.elapsed() < SOON {
            call().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Some(line) = self.lines.try_iter().find(|line| line.contains(words)) {
                return line;
            }
        }
        panic!("it does not show {words}");
    }

    /// Ctrl-C, and how it ends then.
    fn interrupted(mut self) -> Option<i32> {
        assert!(
            Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap().success()
        );
        self.process.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_person_sees_a_stack_reads_its_logs_opens_it_and_knows_beforehand_what_a_file_changes() {
    let draft = cluster_tests::Operator::install("plugin").await.stack("clinic").small();
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("clinic.yaml");
    let clinic = draft.clone().ready().await;
    status(&clinic).await;
    logs(&clinic).await;
    open(&clinic).await;
    let _ = differs(&clinic, &file, &draft.resource(), 0, &["Nothing would change."]);
    let two = draft.clone().with(json!({"services": {"auth": {"replicas": 2}}})).resource();
    let shown = ["~ Deployment clinic-auth-service", "-   replicas: 1", "+   replicas: 2"];
    let _ = differs(&clinic, &file, &two, 1, &shown);
    let next = draft.clone().with(json!({"version": "9.9.9"})).resource();
    let _ = differs(&clinic, &file, &next, 1, &[&format!("from {VERSION} to 9.9.9: migrations first")]);
    let wrong = draft.with(json!({"gateway": {"replicas": 0}, "curency": "EUR"})).resource();
    let told = differs(&clinic, &file, &wrong, 2, &[]);
    let _ = told.names(&["clinic.yaml", "spec.gateway.replicas", "spec.curency"]);
    is_told_what_to_do(&clinic);
    may_do_what_rbac_says(&clinic, file.parent().unwrap());
}

async fn status(clinic: &Clinic) {
    let ask = |arguments: &[&str]| clinic.namespace().healthcare(arguments);
    let tree = ask(&["status", "clinic"]).expect(0).out;
    let lines = [
        &format!("clinic in plugin  ready  {VERSION}  http"),
        &format!("├─ api-gateway               1/1  {VERSION}"),
        "├─ services  2/2 ready",
        &format!("│  ├─ patient-service           1/1  {VERSION}"),
        "├─ postgres                  1/1  15",
        "├─ routes  ",
        "├─ conditions",
        "Ready               True",
    ];
    for line in lines {
        assert!(tree.contains(line), "no `{line}` in:\n{tree}");
    }
    let with_pods = ask(&["status", "clinic", "--pods"]).expect(0).out;
    for (pod, _) in clinic.running().await {
        assert!(with_pods.contains(&format!("{pod}  Running")), "{pod}\n{with_pods}");
    }
    let view: Value =
        serde_json::from_str(&ask(&["status", "clinic", "--output=json"]).expect(0).out).unwrap();
    assert_eq!((&view["ready"], &view["version"]), (&json!(true), &json!(VERSION)), "{view}");

    let env = |env: Value| json!({"spec": {"services": {"patient": {"env": env}}}});
    clinic.edit(env(json!([{"name": "TOKEN", "secret": {"secret": "vault", "key": "token"}}]))).await;
    clinic.says(kind::READY, reason::SECRET_MISSING, SOON).await;
    let tree = ask(&["status", "clinic"]).expect(1).out;
    let words = ["not ready", "SecretMissing: spec.services.patient.env[0]", "Degraded            True"];
    assert!(words.iter().all(|word| tree.contains(word)), "{tree}");
    clinic.edit(env(Value::Null)).await;
    clinic.settled().await;
    let _ = ask(&["status", "clinic"]).expect(0);
}

async fn logs(clinic: &Clinic) {
    let ask = |arguments: &[&str]| clinic.namespace().healthcare(arguments);
    let all = ask(&["logs", "clinic"]).expect(0).out;
    for (pod, _) in clinic.running().await {
        assert!(all.lines().any(|line| line.starts_with(&format!("{pod} "))), "nothing of {pod}:\n{all}");
    }
    let migrated = ask(&["logs", "clinic", "migrate-patient", "--tail=-1"]).expect(0).out;
    assert!(migrated.lines().all(|line| line.starts_with("clinic-migrate-patient-")), "{migrated}");
    let _ = ask(&["logs", "clinic", "pharmacy"])
        .expect(2)
        .names(&["no part of a stack is called pharmacy", "appointment"]);

    // Whatever comes while somebody looks on, of pods that come meanwhile too.
    let following =
        Running::start(clinic.namespace(), &["logs", "clinic", "gateway", "--follow", "--tail=0"]);
    let admin = clinic.admin().await;
    let call = async || drop(admin.call("GET", "/api/patients", None).await.expect(200));
    let first = following.shows("/api/patients", call).await;
    clinic.namespace().kubectl(&["rollout", "restart", "deployment", "clinic-api-gateway"]);
    let rolled_out = ["rollout", "status", "deployment", "clinic-api-gateway", "--timeout=60s"];
    clinic.namespace().kubectl(&rolled_out);
    let before = first.split(' ').next().unwrap();
    let gateways = clinic.pods("api-gateway").await;
    let new = gateways.iter().map(ResourceExt::name_any).find(|pod| pod != before).unwrap();
    let _ = following.shows(&new, call).await;
    assert_eq!(following.interrupted(), None, "a signal ends it, as it ends kubectl logs");
    clinic.settled().await;
}

async fn open(clinic: &Clinic) {
    let opened = Running::start(clinic.namespace(), &["open", "clinic", "--port=0", "--no-browser"]);
    let line = opened.says("clinic answers at http://127.0.0.1:");
    let url = line.split(' ').find_map(|word| word.strip_suffix("/api/docs")).unwrap().to_owned();
    let anybody = blackbox::Client::new(&url);
    let admin = anybody.sign_in("admin", &clinic.admin_password().await).await;
    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
    let port = url.rsplit(':').next().unwrap().to_owned();
    let taken = clinic.namespace().healthcare(&["open", "clinic", &format!("--port={port}"), "--no-browser"]);
    let _ = taken.expect(2).names(&["cannot listen on 127.0.0.1", "another port: --port"]);
    assert_eq!(opened.interrupted(), Some(0));

    let password = clinic.namespace().healthcare(&["first-admin", "clinic", "--password-only"]).expect(0).out;
    assert_eq!(password.trim_end(), clinic.admin_password().await);
}

fn differs(clinic: &Clinic, file: &Path, resource: &Value, code: i32, lines: &[&str]) -> Told {
    std::fs::write(file, resource.to_string()).unwrap();
    let told = clinic.namespace().healthcare(&["diff", "--filename", file.to_str().unwrap()]).expect(code);
    for line in lines {
        assert!(told.out.contains(line), "no `{line}` in:\n{}", told.out);
    }
    told
}

fn is_told_what_to_do(clinic: &Clinic) {
    let ask = |arguments: &[&str]| clinic.namespace().healthcare(arguments).expect(2);
    for command in ["status", "logs", "open", "backup", "rotate-keys", "first-admin"] {
        let _ = ask(&[command, "klinik"]).names(&[
            "no HealthcareStack klinik in the namespace plugin",
            "kubectl get healthcarestacks --all-namespaces",
        ]);
    }
    let _ = ask(&["restore", "klinik", "--as=new"]).names(&["no HealthcareStack klinik"]);
    let _ =
        ask(&["restore", "clinic", "--as=new"]).names(&["has no backups: spec.database.backup is not set"]);
    let _ = ask(&["backup", "clinic"]).names(&["takes no backups: set spec.database.backup"]);
    let _ = ask(&["rotate-keys", "clinic", "--kind=kex"]).names(&["kex", "signing-keys"]);
    let _ = ask(&["diff", "--filename=/nowhere/clinic.yaml"]).names(&["/nowhere/clinic.yaml: No such file"]);

    let folder = tempfile::tempdir().unwrap();
    let from = |kubeconfig: &Path| {
        Told::of(kubectl_with_plugin().env("KUBECONFIG", kubeconfig).args(["healthcare", "status", "clinic"]))
    };
    let _ = from(&folder.path().join("none")).expect(2).names(&["there is no usable kubeconfig", "none"]);
    let closed = kubeconfig("https://127.0.0.1:1", "nobody");
    std::fs::write(folder.path().join("closed"), closed).unwrap();
    let _ = from(&folder.path().join("closed")).expect(2).names(&["the cluster cannot be reached"]);
}

/// Somebody who may view a namespace sees its stacks, and neither their Secrets nor more; a stranger sees nothing.
fn may_do_what_rbac_says(clinic: &Clinic, folder: &Path) {
    let namespace = clinic.namespace();
    let view = Cluster::get().kubectl(&[
        "config",
        "view",
        "--raw",
        "--minify",
        "--output=jsonpath={.clusters[0].cluster.server}",
    ]);
    let person = |name: &str| {
        namespace.kubectl(&["create", "serviceaccount", name]);
        let token = namespace.kubectl(&["create", "token", name]);
        let file = folder.join(name);
        std::fs::write(&file, kubeconfig(&view, token.trim())).unwrap();
        move |arguments: &[&str]| {
            Told::of(
                kubectl_with_plugin()
                    .env("KUBECONFIG", &file)
                    .args(["healthcare", "--namespace=plugin"])
                    .args(arguments),
            )
        }
    };
    let stranger = person("stranger");
    let _ = stranger(&["status", "clinic"])
        .expect(2)
        .names(&["you may not read the HealthcareStack clinic", "stranger"]);
    let viewer = person("viewer");
    namespace.kubectl(&[
        "create",
        "rolebinding",
        "viewer",
        "--clusterrole=view",
        "--serviceaccount=plugin:viewer",
    ]);
    let tree = viewer(&["status", "clinic"]).expect(0).out;
    assert!(tree.contains("clinic in plugin  ready"), "{tree}");
    let _ = viewer(&["first-admin", "clinic"])
        .expect(2)
        .names(&["you may not read the Secret clinic-first-admin"]);
    let _ = viewer(&["rotate-keys", "clinic"])
        .expect(2)
        .names(&["you may not annotate the HealthcareStack clinic"]);
    let editor = person("editor");
    namespace.kubectl(&[
        "create",
        "rolebinding",
        "editor",
        "--clusterrole=edit",
        "--serviceaccount=plugin:editor",
    ]);
    let _ = editor(&["rotate-keys", "clinic", "--kind=database-tls"]).expect(0);
}

fn kubeconfig(server: &str, token: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}
