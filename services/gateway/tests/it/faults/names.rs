//! A service that is reached by its name, and a resolver that fails or says that there is no such name. The gateway's own process, whose resolver reads
//! a file of ours (`nss_wrapper`, which stands before the C library's).

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{Address, Method, Upstream};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::house::{config, public};
use crate::process::{Process, gateway};
use crate::wire::Client;

/// It looks at whole seconds to see that its file has changed.
const NOTICED: Duration = Duration::from_millis(1_100);

/// Keeps a connection open, or closes it after its answer, by the path.
fn service(listener: TcpListener) -> Backend {
    Backend::on(listener, |request, _| async move {
        let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
        if request.uri().path() == "/once" {
            response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        }
        response
    })
}

/// A gateway that reads names from this file.
async fn gateway_with(hosts: &Path, dir: &Path, config: &settings::GatewayConfig) -> Process {
    let is_there = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let is_there = is_there.chain(std::fs::read_dir("/lib").unwrap().filter_map(Result::ok));
    let mut folders = is_there.map(|folder| folder.path().join("libnss_wrapper.so"));
    let library =
        folders.find(|library| library.exists()).expect("the package libnss-wrapper (scripts/prepare test)");
    let (file, keys) = (dir.join("gateway.json"), dir.join("jwks.json"));
    std::fs::write(&file, serde_json::to_string(config).unwrap()).unwrap();
    std::fs::write(&keys, r#"{"keys": []}"#).unwrap();
    let mut command = gateway(&["--config", file.to_str().unwrap(), "--jwks", keys.to_str().unwrap()]);
    Process::of(command.env("LD_PRELOAD", library).env("NSS_WRAPPER_HOSTS", hosts)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connections_need_no_name_and_new_ones_go_where_it_led_until_it_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.3 patients.test\n127.0.0.4 providers.test\n").unwrap();
    let patients = service(TcpListener::bind("127.0.0.3:0").await.unwrap());
    let providers = service(TcpListener::bind("127.0.0.4:0").await.unwrap());
    let port =
        |backend: &Backend| backend.address.authority().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let named = |name: &str, backend: &Backend| {
        let mut upstream = Upstream::from(vec![Address(format!("http://{name}.test:{}", port(backend)))]);
        upstream.slow_start_ms = 0;
        upstream
    };
    let once = settings::Route { service: "provider-service".to_owned(), ..public(Method::Get, "/once") };
    let mut config = config(Vec::new(), vec![public(Method::Get, "/kept"), once]);
    config.upstreams.insert("patient-service".to_owned(), named("patients", &patients));
    config.upstreams.insert("provider-service".to_owned(), named("providers", &providers));
    let process = gateway_with(&hosts, dir.path(), &config).await;
    // All on one connection, so on one thread and its pool.
    let mut client = Client::connect(process.address).await;
    let mut ask = async |path: &str| client.ask("GET", path, &[], "").await.status;
    assert_eq!((ask("/kept").await, ask("/once").await), (200, 200));
    let (kept, made) = (patients.connections(), providers.connections());

    // The resolver fails: what was known stays in force.
    std::fs::remove_file(&hosts).unwrap();
    for _ in 0..5 {
        assert_eq!((ask("/kept").await, ask("/once").await), (200, 200));
    }
    assert_eq!(patients.connections(), kept, "its connection was used all the time");
    assert!(providers.connections() >= made + 4, "and here each needed a new one");

    // There are no such names: that is believed, and concerns new connections only.
    sleep(NOTICED).await;
    std::fs::write(&hosts, "127.0.0.9 elsewhere.test\n").unwrap();
    assert_eq!((ask("/kept").await, ask("/once").await), (200, 503));
    std::fs::remove_file(&hosts).unwrap();
    assert_eq!((ask("/kept").await, ask("/once").await), (200, 503), "not where it led before that");

    // And it leads somewhere else.
    let moved = TcpListener::bind(("127.0.0.5", port(&providers).parse().unwrap())).await.unwrap();
    let moved = service(moved);
    sleep(NOTICED).await;
    std::fs::write(&hosts, "127.0.0.3 patients.test\n127.0.0.5 providers.test\n").unwrap();
    assert_eq!((ask("/kept").await, ask("/once").await), (200, 200));
    assert!(moved.connections() > 0, "it is followed");
}
