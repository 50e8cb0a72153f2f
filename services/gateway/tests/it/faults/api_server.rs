//! The API server is away, in each of its ways: what it said last stays in force, configuration and pods, and what it says when it is back is
//! followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use settings::{Address, Method, Retries, Route};
use tokio::net::TcpListener;

use crate::backend::{Backend, eventually};
use crate::house::{config, public};
use crate::kubernetes::{Cluster, Shared, answer, api_server, becomes, follower, written};

const AWAY: Duration = Duration::from_millis(700);

/// What may be wrong with it.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Refuses,
    Hangs,
    Fails,
    SaysNonsense,
}

/// An API server in a mood, at its old address.
async fn in_mood(address: SocketAddr, mood: Mood) -> Option<Backend> {
    if matches!(mood, Mood::Refuses) {
        return None;
    }
    let listener = TcpListener::bind(address).await.unwrap();
    Some(Backend::on(listener, move |_, _| async move {
        match mood {
            Mood::Refuses | Mood::Hangs => std::future::pending().await,
            Mood::Fails => {
                let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
            Mood::SaysNonsense => {
                Response::new(Full::new(Bytes::from_static(b"<html>captive portal</html>")))
            }
        }
    }))
}

async fn well(address: SocketAddr, cluster: &Shared) -> Backend {
    let listener = TcpListener::bind(address).await.unwrap();
    let cluster = Arc::clone(cluster);
    Backend::on(listener, move |request, _| {
        let cluster = Arc::clone(&cluster);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            answer(cluster, http::Request::from_parts(head, body)).await
        }
    })
}

fn place(backend: &Backend) -> (String, u16) {
    let (host, port) = backend.address.authority().unwrap().rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

/// Follows a cluster of two pods whose API server is away in this way for a while.
async fn while_it(mood: Mood) {
    let stays = Backend::echo().await;
    // A Service has one port, so two pods are two addresses of this machine.
    let listener = TcpListener::bind(("127.0.0.2", place(&stays).1)).await.unwrap();
    let dies = Backend::on(listener, |_, _| async { Response::new(Full::new(Bytes::from_static(b"ok"))) });
    let retries =
        Retries { attempts: 2, base_backoff_ms: 1, max_backoff_ms: 5, budget_percent: 20, per_try_ms: None };
    let with = |paths: &[&str]| {
        let route = |path: &&str| Route { retries: Some(retries), ..public(Method::Get, path) };
        let service = Address("http://clinic-patient-service:8082".to_owned());
        written(config(vec![service], paths.iter().map(route).collect()))
    };
    let cluster: Shared = Arc::default();
    *cluster.lock().unwrap() = Cluster {
        version: 1,
        config: with(&["/x"]),
        pods: vec![place(&stays), place(&dies)],
        ..Cluster::default()
    };
    let (api, dir) = api_server(&cluster).await;
    let address: SocketAddr = api.address.authority().unwrap().parse().unwrap();
    let process = follower(dir.path()).await;
    becomes(&process, "/x", 200).await;
    for _ in 0..4 {
        process.get(process.address, "/x").await;
    }
    eventually("both pods get work", || dies.connections() > 0 && stays.connections() > 0).await;

    drop(api);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let away = in_mood(address, mood).await;
    // What changes meanwhile nobody hears of; and a pod goes that nobody takes off the list.
    {
        let mut cluster = cluster.lock().unwrap();
        (cluster.version, cluster.config) = (cluster.version + 1, with(&["/x", "/y"]));
    }
    drop(dies);
    let since = Instant::now();
    while since.elapsed() < AWAY {
        assert_eq!(process.get(process.address, "/x").await.status, 200);
        assert_eq!(process.get(process.address, "/y").await.status, 404);
        assert_eq!(process.get(process.admin, "/readyz").await.status, 200);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if let Some(away) = &away {
        assert!(away.connections() > 0, "it was asked, and in this mood");
    }
    drop(away);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _api = well(address, &cluster).await;
    becomes(&process, "/y", 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_api_server_refuses_nothing_changes_and_then_everything_is_followed() {
    while_it(Mood::Refuses).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_api_server_hangs_nothing_changes_and_then_everything_is_followed() {
    while_it(Mood::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_api_server_fails_nothing_changes_and_then_everything_is_followed() {
    while_it(Mood::Fails).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_api_server_talks_nonsense_nothing_changes_and_then_everything_is_followed() {
    while_it(Mood::SaysNonsense).await;
}
