//! `docker-compose.yml`, the Dockerfile and the list of images say what the planner says. (No container runs here: that the settings and
//! secrets serve real processes is for `tests/cluster` to show.)

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use contracts::ambient::{Clock, Random};
use serde_json::Value;
use settings::{Address, Database, GATEWAY_NAME, ServiceName, ServiceSettings};
use stack::Stack;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap()
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
}

fn sample() -> String {
    read("manifests/samples/healthcarestack.yaml")
}

fn render(out: &Path) {
    render_stack(&sample(), out);
}

fn render_stack(stack: &str, out: &Path) {
    let stack = Stack::from_yaml(stack).unwrap();
    local::compose::render(&stack, out, &Random::system(), &Clock::system()).unwrap();
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// Where a container of this service finds a file of the host's, by its volumes.
fn mounted(service: &Value) -> BTreeMap<PathBuf, PathBuf> {
    let volumes = texts(&service["volumes"]).into_iter();
    let parts = volumes.map(|volume| volume.splitn(3, ':').map(PathBuf::from).collect::<Vec<_>>());
    parts.map(|parts| (parts[1].clone(), parts[0].clone())).collect()
}

#[test]
fn the_services_are_those_of_the_stack_with_its_names_and_ports() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let names: BTreeSet<_> = services.keys().map(String::as_str).collect();
    let ours = ServiceName::ALL.iter().map(|service| service.as_str());
    assert_eq!(names, ours.chain([GATEWAY_NAME, "postgres", "prometheus"]).collect());

    for (name, service) in services {
        assert_eq!(texts(&service["networks"]), ["microservices-net"], "{name}");
        assert!(service["stop_grace_period"].is_string(), "{name} is killed before it can end what it does");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} can be reached by others at {port}");
        }
        for (container, state) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(container), "{name}");
            assert_eq!(state["condition"], "service_healthy", "{name}");
        }
    }
    assert_eq!(compose["networks"]["microservices-net"]["driver"], "bridge");
    assert_eq!(texts(&services[GATEWAY_NAME]["ports"]), ["127.0.0.1:8080:8080"]);
    assert_eq!(texts(&services["medical-records-service"]["ports"]), ["127.0.0.1:8081:8081"]);
}

#[test]
fn each_service_finds_its_settings_and_every_secret_that_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    render(&out);
    let compose = compose();
    for service in ServiceName::ALL {
        let container = &compose["services"][service.as_str()];
        let mounts = mounted(container);
        let on_host = |path: &str| {
            let (target, source) = mounts
                .iter()
                .find(|(target, _)| Path::new(path).starts_with(target))
                .unwrap_or_else(|| panic!("{service}: nothing is mounted at {path}"));
            let source = out.join(source.strip_prefix("./data/compose").unwrap());
            let rest = Path::new(path).strip_prefix(target).unwrap();
            if rest.as_os_str().is_empty() { source } else { source.join(rest) }
        };
        let settings = std::fs::read(on_host("/etc/healthcare/settings.json")).unwrap();
        let settings: ServiceSettings = serde_json::from_slice(&settings).unwrap();
        assert_eq!(settings.service, service);
        assert_eq!(settings.listen, Address(format!("0.0.0.0:{}", service.port())));
        for (peer, at) in &settings.peers {
            assert_eq!(at.address, Address(format!("https://{peer}:{}", peer.port())));
        }
        let Database::Postgres { schema, .. } = &settings.database else {
            panic!("{service} is not on PostgreSQL")
        };
        let secret = |name: &str| {
            std::fs::read_to_string(on_host(&format!("/var/run/healthcare/secrets/{name}"))).unwrap()
        };
        let url = secret("database/url");
        assert!(
            url.starts_with(&format!("postgres://{schema}:"))
                && url.contains("@postgres:5432/healthcare?sslmode=verify-full")
        );
        assert!(secret("database/ca.crt").starts_with("-----BEGIN CERTIFICATE"));
        let tls = settings.tls.unwrap().secret;
        let known = tls::Credentials::read(&on_host(&format!("/var/run/healthcare/secrets/{tls}")));
        assert!(known.is_ok(), "{service}: {known:?}");
        assert!(secret("service-identities/jwks.json").contains(service.as_str()));
        assert!(
            !secret("kek/current").is_empty()
                && on_host(&format!("/var/run/healthcare/secrets/{service}-identity/key.p8")).exists()
        );
        assert_eq!(
            mounts.contains_key(Path::new("/var/run/healthcare/secrets/signing-keys")),
            service == ServiceName::AuthService
        );
    }
}

/// By the same labels it tells samples of the stack from others, and the gateway asks for them.
#[test]
fn prometheus_labels_what_it_reads_as_the_gateway_will_ask_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    render(&out);
    let file = out.join("settings/prometheus.yml");
    let checked = Command::new("promtool").args(["check", "config"]).arg(&file).output();
    let checked = checked.expect("promtool, which `scripts/prepare test` installs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let read: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let told: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("gateway/gateway.json")).unwrap()).unwrap();
    let targets = &read["scrape_configs"][0]["static_configs"][0];
    assert!(texts(&targets["targets"]).contains(&"api-gateway:9464"));
    let (labels, url) = (&told["prometheus"]["labels"], &told["prometheus"]["url"]);
    assert_eq!(labels.as_object().unwrap().len(), 2, "{labels}");
    assert_eq!((&targets["labels"], url), (labels, &Value::from("http://prometheus:9090")));
}

/// A file that is mounted by itself stays, in the container, what it was when another was put in its place. So a service's container must be
/// made anew, which Compose does when its environment is another one…
#[test]
fn a_service_is_told_apart_by_its_environment_when_its_settings_change() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    let compose = compose();
    let environments = || {
        ServiceName::ALL.map(|service| {
            let files = texts(&compose["services"][service.as_str()]["env_file"]).into_iter();
            let files = files.map(|file| out.join(Path::new(file).strip_prefix("./data/compose").unwrap()));
            files.map(|file| std::fs::read_to_string(file).unwrap()).collect::<String>()
        })
    };
    render(&out);
    let first = environments();
    render(&out);
    assert_eq!(environments(), first, "nothing changed, and nothing is made anew");

    render_stack(&sample().replace("timeZone: Europe/Berlin", "timeZone: America/Lima"), &out);
    for (service, (before, after)) in ServiceName::ALL.iter().zip(first.iter().zip(environments())) {
        assert_ne!(*before, after, "{service} runs on with the settings that it had");
    }

    let limits = |stack: &str| stack.replace("requestsPerSecond: 100", "requestsPerSecond: 50");
    render_stack(&limits(&sample()), &out);
    assert_eq!(environments(), first, "what the gateway alone is told makes no service anew");
}

/// …and the gateway, which follows its file, must have the folder around it.
#[test]
fn the_gateway_sees_the_file_that_takes_the_place_of_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    render(&out);
    let compose = compose();
    let gateway = &compose["services"][GATEWAY_NAME];
    let config = texts(&gateway["command"]).into_iter().find_map(|word| word.strip_prefix("--config="));
    let config = Path::new(config.unwrap());
    let folder = &mounted(gateway)[config.parent().unwrap()];
    let on_host = out.join(folder.strip_prefix("./data/compose").unwrap()).join(config.file_name().unwrap());
    let limit = || {
        let config: Value = serde_json::from_slice(&std::fs::read(&on_host).unwrap()).unwrap();
        config["rateLimits"].clone()
    };
    let first = limit();
    assert!(first.is_object());
    render_stack(&sample().replace("requestsPerSecond: 100", "requestsPerSecond: 50"), &out);
    assert_ne!(limit(), first);
}

/// Whoever has not made the folder gets nowhere near the secrets; a container, which gets a part of it mounted, reads that part.
#[test]
fn what_is_written_is_open_to_containers_alone_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("compose");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    render(&out);
    assert_eq!(mode(&out), 0o700);
    let secrets = [
        "secrets/kek/current",
        "secrets/database-patient/url",
        "postgres/tls.key",
        "postgres/roles.sql",
        "auth-service.env",
    ];
    let read = || secrets.map(|name| (mode(&out.join(name)), std::fs::read(out.join(name)).unwrap()));
    let first = read();
    assert!(first.iter().all(|(mode, text)| *mode == 0o644 && !text.is_empty()));
    render(&out);
    assert_eq!(read(), first, "a second time makes no new secret");
}

/// The same nine images by the Dockerfile, by `scripts/images` and in docker-compose.yml.
#[test]
fn the_images_are_the_same_wherever_they_are_named() {
    let list = read("scripts/images.txt");
    let rows: Vec<Vec<_>> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let services = ServiceName::ALL.map(|service| (service.as_str(), service.port()));
    let ours: BTreeSet<_> = services.into_iter().chain([(GATEWAY_NAME, 8080)]).collect();

    let dockerfile = read("Dockerfile");
    let compose = compose();
    for row in &rows {
        let [image, package, binary, port] = row[..] else { panic!("{row:?}") };
        for line in [
            format!("FROM base AS {image}\n"),
            format!("COPY --from=build /binaries/{binary} /{binary}\n"),
            format!("COPY --from=build /sbom/{image}.cdx.json /var/lib/db/sbom/\n"),
            format!("EXPOSE {port} "),
            format!("ENTRYPOINT [\"/{binary}\"]\n"),
        ] {
            assert!(dockerfile.contains(&line), "{image}: the Dockerfile has no {line:?}");
        }
        let words: Vec<_> = dockerfile.split_whitespace().collect();
        assert!(
            words.windows(2).any(|pair| pair == ["--package", package]),
            "the Dockerfile does not build {package}"
        );
        if image != "healthcare-operator" {
            let service = &compose["services"][image];
            assert_eq!(service["build"]["target"], image);
            assert!(service["image"].as_str().unwrap().contains(&format!("{image}:")));
        }
    }
    let named: BTreeSet<_> = rows.iter().map(|row| (row[0], row[3].parse().unwrap())).collect();
    assert_eq!(
        named.iter().filter(|(name, _)| *name != "healthcare-operator").copied().collect::<BTreeSet<_>>(),
        ours
    );
    assert_eq!(named.len(), 9);
}
