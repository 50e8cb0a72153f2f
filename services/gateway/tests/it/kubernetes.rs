//! `gateway kubernetes` against as much of an API server as it asks for: two collections, listed and watched. A real one is in the
//! cluster's tests; here are those of its moods that a real one shows at no one's bidding.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use settings::Method;

use crate::backend::Backend;
use crate::house::{config, public};
use crate::process::{Process, gateway};

/// What the API server has.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) version: u64,
    pub(crate) config: String,
    pub(crate) pods: Vec<(String, u16)>,
    /// How many pods the gateway's own Service has.
    pub(crate) gateways: u8,
    /// Watches end with 410 while this is so, as when the server has forgotten where they began.
    pub(crate) is_forgetful: bool,
}

impl Cluster {
    fn objects(&self, is_slice: bool) -> Vec<Value> {
        if !is_slice {
            let metadata = json!({"name": "gw", "resourceVersion": self.version.to_string()});
            return vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"gateway.json": self.config}}),
            ];
        }
        let gateways: Vec<_> = (1..=self.gateways).map(|last| (format!("10.0.0.{last}"), 8080)).collect();
        vec![self.slice("clinic-patient-service", &self.pods), self.slice("clinic-api-gateway", &gateways)]
    }

    fn slice(&self, service: &str, pods: &[(String, u16)]) -> Value {
        let metadata = json!({"name": format!("{service}-1"), "resourceVersion": self.version.to_string(),
            "labels": {"kubernetes.io/service-name": service}});
        let endpoint =
            |(host, _): &(String, u16)| json!({"addresses": [host], "conditions": {"ready": true}});
        let ports: Vec<_> =
            pods.iter().take(1).map(|(_, port)| json!({"name": "http", "port": port})).collect();
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
            "ports": ports, "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>()})
    }
}

pub(crate) type Shared = Arc<Mutex<Cluster>>;

pub(crate) async fn answer(cluster: Shared, request: Request<Bytes>) -> Response<Full<Bytes>> {
    let is_slice = request.uri().path().ends_with("/endpointslices");
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = if query.contains("watch=true") {
        watch(&cluster, is_slice, &query).await
    } else {
        let cluster = cluster.lock().unwrap();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": cluster.objects(is_slice),
            "metadata": {"resourceVersion": cluster.version.to_string()}});
        list.to_string()
    };
    let response = Response::builder().header("content-type", "application/json");
    response.body(Full::new(Bytes::from(body))).unwrap()
}

/// Tells what has changed, and ends: a watch may end at any time.
async fn watch(cluster: &Shared, is_slice: bool, query: &str) -> String {
    let seen = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or_default();
    let seen: u64 = seen.parse().unwrap();
    for _ in 0..100 {
        {
            let cluster = cluster.lock().unwrap();
            if cluster.is_forgetful {
                let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"});
                return json!({"type": "ERROR", "object": status}).to_string() + "\n";
            }
            if cluster.version > seen {
                let event = |object| json!({"type": "MODIFIED", "object": object}).to_string() + "\n";
                return cluster.objects(is_slice).into_iter().map(event).collect();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    String::new()
}

pub(crate) async fn becomes(process: &Process, path: &str, status: u16) {
    let begun = Instant::now();
    while process.get(process.address, path).await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(8), "{path} never answers {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Answers for the cluster; and a folder with the way there.
pub(crate) async fn api_server(cluster: &Shared) -> (Backend, tempfile::TempDir) {
    let cluster = Arc::clone(cluster);
    let api = Backend::answering(move |request| answer(Arc::clone(&cluster), request)).await;
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": api.address.0}}], "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]});
    std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    (api, dir)
}

pub(crate) async fn follower(dir: &std::path::Path) -> Process {
    let mut command = gateway(&["kubernetes", "--namespace", "clinic", "--config-map", "gw"]);
    Process::of(command.env("KUBECONFIG", dir.join("kubeconfig"))).await
}

/// What is written in the ConfigMap.
pub(crate) fn written(mut config: settings::GatewayConfig) -> String {
    let upstream = config.upstreams["patient-service"].clone();
    let auth = settings::Address("http://127.0.0.1:9".to_owned());
    config
        .upstreams
        .insert("auth-service".to_owned(), settings::Upstream { endpoints: vec![auth], ..upstream });
    serde_json::to_string(&config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_share_of_the_limits_follows_how_many_are_ready() {
    let pod = Backend::echo().await;
    let (host, port) = pod.address.authority().unwrap().rsplit_once(':').unwrap();
    let pods = vec![(host.to_owned(), port.parse().unwrap())];
    let mut config = config(
        vec![settings::Address("http://clinic-patient-service:8082".to_owned())],
        vec![public(Method::Get, "/x")],
    );
    let limit = settings::RateLimit { requests_per_second: 1, burst: 100 };
    config.rate_limits.per_client = Some(limit);
    config.peers = Some(settings::Address("clinic-api-gateway:8080".to_owned()));
    let cluster: Shared = Arc::default();
    *cluster.lock().unwrap() =
        Cluster { version: 1, config: written(config), pods, gateways: 5, ..Cluster::default() };
    let (_api, dir) = api_server(&cluster).await;
    let process = follower(dir.path()).await;
    let remaining = async || {
        let answer = process.get(process.address, "/x").await;
        let standing = answer.header("ratelimit").unwrap().strip_prefix("\"client\";r=").unwrap().to_owned();
        standing.split(';').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(remaining().await, 19, "a fifth of the burst");
    for gateways in [1, 2] {
        {
            let mut cluster = cluster.lock().unwrap();
            (cluster.version, cluster.gateways) = (cluster.version + 1, gateways);
        }
        let share = 100 / u32::from(gateways);
        let begun = Instant::now();
        while !(share * 3 / 4..share).contains(&remaining().await) {
            assert!(begun.elapsed() < Duration::from_secs(8), "the share of one of {gateways} never holds");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_configuration_and_pods_through_whatever_the_api_server_does() {
    let pod = Backend::echo().await;
    let (host, port) = pod.address.authority().unwrap().rsplit_once(':').unwrap();
    let pods = vec![(host.to_owned(), port.parse().unwrap())];
    let written = |paths: &[&str]| {
        let routes = paths.iter().map(|path| public(Method::Get, path)).collect();
        written(config(vec![settings::Address("http://clinic-patient-service:8082".to_owned())], routes))
    };
    let cluster: Shared = Arc::default();
    let change = |how: &dyn Fn(&mut Cluster)| {
        let mut cluster = cluster.lock().unwrap();
        cluster.version += 1;
        how(&mut cluster);
    };
    change(&|cluster| cluster.config = written(&["/x"]));
    let (api, dir) = api_server(&cluster).await;
    let process = follower(dir.path()).await;

    becomes(&process, "/x", 503).await;
    change(&|cluster| cluster.pods.clone_from(&pods));
    becomes(&process, "/x", 200).await;
    change(&|cluster| cluster.config = written(&["/x", "/y"]));
    becomes(&process, "/y", 200).await;

    change(&|cluster| cluster.config = written(&["/x", "/x"]));
    change(&|cluster| cluster.pods.clear());
    becomes(&process, "/y", 503).await;
    let refused = r#"gateway_configurations_total{service="api-gateway",outcome="refused"} 1"#;
    let begun = Instant::now();
    while !process.get(process.admin, "/metrics").await.text().contains(refused) {
        assert!(begun.elapsed() < Duration::from_secs(8), "the refusal is not counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    cluster.lock().unwrap().is_forgetful = true;
    change(&|cluster| (cluster.config, cluster.pods) = (written(&["/z"]), pods.clone()));
    becomes(&process, "/z", 200).await;
    assert_eq!(process.get(process.address, "/y").await.status, 404);

    drop(api);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        process.get(process.address, "/z").await.status,
        200,
        "the API server is away, and nothing has changed"
    );
}
