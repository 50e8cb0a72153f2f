//! docker-compose.yml with its settings and secrets, run for real without a container engine: each of its services becomes a pod
//! and a Service of the same name, which mount, start and ask for health what the file says. Only PostgreSQL's entry point is another one,
//! since its image is (see `images/postgres`), and Prometheus is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blackbox::Client;
use cluster_tests::{Namespace, REGISTRY, Traffic, VERSION, eventually};
use contracts::ambient::{Clock, Random};
use k8s_openapi::api::core::v1::Service;
use local::args::RotateSigningKey;
use serde_json::{Value, json};
use stack::Stack;

const STARTED_IN: Duration = Duration::from_mins(3);

/// What the official image's entry point does at a first start.
const FIRST_START: &str = r#"
cp /etc/healthcare/tls.key /var/lib/postgresql/tls.key
chmod 600 /var/lib/postgresql/tls.key
initdb --auth=peer --encoding=UTF8 --locale=C.UTF-8 >/dev/null
pg_ctl --silent --wait --options="-c listen_addresses=" start >/dev/null
sql() { psql --quiet --set ON_ERROR_STOP=1 "$@"; }
sql --command "create database $POSTGRES_DB"
sql --dbname "$POSTGRES_DB" --file /docker-entrypoint-initdb.d/roles.sql
pg_ctl --silent --wait stop
exec "$@" -c listen_addresses='*' # the official image's default
"#;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

/// Image name → binary, main port.
fn images() -> BTreeMap<String, (String, u16)> {
    let list = read("scripts/images.txt");
    let rows = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.map(|row| (row[0].to_owned(), (row[2].to_owned(), row[3].parse().unwrap()))).collect()
}

/// The volumes that are files or folders of the host's: where in the container, what on the host.
fn mounts(service: &Value, out: &Path) -> Vec<(String, String)> {
    let volumes =
        words(&service["volumes"]).into_iter().filter(|volume| volume.starts_with("./data/compose"));
    let pairs = volumes.map(|volume| {
        let (source, target) = volume.trim_end_matches(":ro").split_once(':').unwrap();
        let source = out.join(source.trim_start_matches("./data/compose/"));
        (target.to_owned(), source.to_str().unwrap().to_owned())
    });
    pairs.collect()
}

/// `NAME=value` lines.
fn env_file(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| line.split_once('=').unwrap());
    lines.map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn pod(name: &str, container: &Value, mounts: &[(String, String)], port: u16) -> Value {
    let mut container = container.clone();
    let at = |(index, (target, _)): (usize, &(String, String))| json!({"name": format!("v{index}"), "mountPath": target, "readOnly": true});
    let on = |(index, (_, source)): (usize, &(String, String))| json!({"name": format!("v{index}"), "hostPath": {"path": source}});
    container["name"] = json!("main");
    container["imagePullPolicy"] = json!("Never");
    container["volumeMounts"] = mounts.iter().enumerate().map(at).collect();
    let volumes: Value = mounts.iter().enumerate().map(on).collect();
    let spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": volumes,
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"part": name}}, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
         "spec": {"selector": {"part": name}, "ports": [{"port": port}]}},
    ]})
}

/// A part of ours as the file says: its image's entry point, the file's command and environment, and the image's health check.
fn our_pod(name: &str, service: &Value, out: &Path, binary: &str, port: u16) -> Value {
    let environment = service["environment"].as_object().unwrap();
    let mut env: Vec<_> =
        environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    for file in words(&service["env_file"]) {
        env.extend(env_file(&out.join(file.trim_start_matches("./data/compose/"))));
    }
    let args = if service["command"].is_null() { json!(["serve"]) } else { service["command"].clone() };
    let container = json!({
        "image": format!("{REGISTRY}/{name}:{VERSION}"),
        "args": args,
        "env": env,
        "readinessProbe": {"exec": {"command": [format!("/{binary}"), "healthcheck"]}, "periodSeconds": 1, "timeoutSeconds": 3},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": service["cap_drop"]},
            "readOnlyRootFilesystem": service["read_only"],
            "runAsNonRoot": true,
        },
    });
    pod(name, &container, &mounts(service, out), port)
}

fn postgres_pod(service: &Value, out: &Path) -> Value {
    let mut command = vec!["sh", "-euc", FIRST_START, "sh"];
    command.extend(words(&service["command"]));
    let container = json!({
        "image": "healthcare-test/postgres:15",
        "command": command,
        "env": [{"name": "POSTGRES_DB", "value": service["environment"]["POSTGRES_DB"]}],
        "readinessProbe": {"exec": {"command": words(&service["healthcheck"]["test"])[1..]}, "periodSeconds": 1},
    });
    pod("postgres", &container, &mounts(service, out), 5432)
}

#[tokio::test]
async fn the_composed_stack_starts_and_a_patient_is_registered_through_its_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    let stack = Stack::from_yaml(&read("manifests/samples/healthcarestack.yaml")).unwrap();
    local::compose::render(&stack, &out, &Random::system(), &Clock::system()).unwrap();
    let compose: Value = serde_saphyr::from_str(&read("docker-compose.yml")).unwrap();

    let namespace = Namespace::new("compose");
    namespace.apply(&postgres_pod(&compose["services"]["postgres"], &out).to_string());
    let mut parts = images();
    parts.remove("healthcare-operator");
    for (name, (binary, port)) in &parts {
        namespace.apply(&our_pod(name, &compose["services"][name], &out, binary, *port).to_string());
    }
    for name in parts.keys() {
        namespace.ready_pod(name, STARTED_IN).await;
    }

    let gateway = namespace.api::<Service>().await.get("api-gateway").await.unwrap();
    let url = format!("http://{}:8080", gateway.spec.unwrap().cluster_ip.unwrap());
    let password = env_file(&out.join("auth-service.env"))[0]["value"].clone();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let post = async |path: &str, token: &str, body: Value| {
        let request =
            client.post(format!("{url}{path}")).bearer_auth(token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if status < 300 {
            Ok(serde_json::from_str::<Value>(&text).unwrap())
        } else {
            Err(format!("{status}: {text}"))
        }
    };
    let login = json!({"username": "admin", "password": password});
    let session = eventually("a login", Duration::from_secs(30), async || {
        post("/api/auth/login", "", login.clone()).await
    })
    .await;
    let token = session["token"].as_str().unwrap();
    let patient = json!({
        "name": "Maria Beispiel",
        "dob": "1980-02-29",
        "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
        "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []},
    });
    let registered = post("/api/patients", token, patient).await.unwrap();
    assert!(registered["patientId"].is_string(), "{registered}");

    let admin = Client::new(&url).with_token(token);
    others_take_over(&admin, out).await;
    let later = admin.sign_in("admin", password.as_str().unwrap()).await;
    let _ = later.call("GET", "/api/patients", None).await.expect(200);
    let head = |client: &Client| client.token().unwrap().split('.').next().unwrap().to_owned();
    assert_ne!(head(&later), head(&admin), "the same key signs");
}

/// Another CA for the certificates of all containers, and another key that tokens are signed with, and nobody notices.
async fn others_take_over(admin: &Client, out: PathBuf) {
    let traffic = Traffic::start(admin, "/api/patients");
    let work = move || {
        local::compose::renew(&out, &Clock::system()).unwrap();
        local::signing_keys::rotate_signing_key(&RotateSigningKey { data_dir: out, at_once: false }).unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    // All files are read again within a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = traffic.stop_unharmed();
    println!("{} requests, the longest {:?}", seen.answered, seen.longest);
}
