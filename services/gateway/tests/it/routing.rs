//! Which request goes where.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::{HeaderMatch, Method};

use crate::backend::{Backend, unix};
use crate::house::{House, config, public};

fn routes() -> Vec<settings::Route> {
    vec![
        public(Method::Get, "/api/patients/{patientId}"),
        public(Method::Put, "/api/patients/{patientId}"),
        public(Method::Post, "/api/patients"),
        public(Method::Post, "/api/patients/merge"),
        public(Method::Get, "/api/files/{*rest}"),
    ]
}

#[tokio::test]
async fn a_request_reaches_its_service_with_path_and_query_as_they_are() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let answer = house.get("/api/patients/12345?full=true&q=%2F..").await;
    assert_eq!((answer.status, answer.text()), (200, "GET /api/patients/12345?full=true&q=%2F.. 0"));
    assert_eq!(house.ask("POST", "/api/patients", &[], "{}").await.text(), "POST /api/patients 2");
    assert_eq!(house.get("/api/files/a/b/c").await.text(), "GET /api/files/a/b/c 0");
}

#[tokio::test]
async fn a_unix_socket_is_an_upstream_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patient.sock");
    let task = unix(&path, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let address = settings::Address(format!("unix:{}", path.display()));
    let house = House::with(config(vec![address], routes())).await;
    let mut client = house.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/api/patients/1", &[], "").await.text(), "ok");
    }
    task.abort();
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    for path in
        ["/nothing", "/api/patients/1/x", "/api/patients/", "/internal/events", "/metrics", "/api/files/"]
    {
        house.get(path).await.assert_problem(404, "not-found");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_known_path_with_another_method_is_405_and_says_which_there_are() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let answer = house.ask("DELETE", "/api/patients/1", &[], "").await;
    answer.assert_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, OPTIONS"));
    house.ask("BREW", "/api/patients", &[], "").await.assert_problem(405, "method-not-allowed");
    let options = house.ask("OPTIONS", "/api/patients", &[], "").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("POST, OPTIONS")));
}

#[tokio::test]
async fn a_get_finds_the_template_although_a_post_has_the_very_path() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    assert_eq!(house.get("/api/patients/merge").await.text(), "GET /api/patients/merge 0");
    assert_eq!(house.ask("POST", "/api/patients/merge", &[], "").await.text(), "POST /api/patients/merge 0");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let mut client = house.client().await;
    let head = client.ask("HEAD", "/api/patients/1", &[], "").await;
    assert_eq!((head.status, backend.requests()[0].method.as_str()), (200, "HEAD"));
    let after = client.ask("GET", "/api/patients/1", &[], "").await;
    assert_eq!(after.text(), "GET /api/patients/1 0", "the connection is still in step");
}

#[tokio::test]
async fn paths_that_can_be_read_in_two_ways_are_refused() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    for path in [
        "/api/patients/a%2Fb",
        "/api/patients/%2e%2e",
        "/api/patients/../x",
        "/api//patients",
        "/api/patients/%00",
        "/api/patients/%5c",
        "/api/patients/%zz",
        "/api/./patients",
    ] {
        house.get(path).await.assert_problem(400, "malformed-request");
    }
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn needless_encodings_do_not_make_another_path() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    assert_eq!(house.get("/api/%70atients/%31?q=%61").await.text(), "GET /api/patients/1?q=%61 0");
    assert_eq!(house.get("http://other.example/api/patients/2").await.text(), "GET /api/patients/2 0");
}

fn asking(path: &str, headers: &[(&str, Option<&str>)], service: &str) -> settings::Route {
    let headers = headers
        .iter()
        .map(|(name, value)| HeaderMatch { name: (*name).to_owned(), value: value.map(str::to_owned) });
    settings::Route { headers: headers.collect(), service: service.to_owned(), ..public(Method::Get, path) }
}

/// A configuration with an upstream of each of these names, each a backend that tells its name and what it was asked for.
async fn named(
    names: &[&'static str],
    routes: Vec<settings::Route>,
) -> (settings::GatewayConfig, Vec<Backend>) {
    let mut config = config(Vec::new(), routes);
    let mut backends = Vec::new();
    for &name in names {
        let backend = Backend::answering(move |request| async move {
            Response::new(Full::new(Bytes::from(format!("{name} {}", request.uri()))))
        })
        .await;
        config.upstreams.insert(name.to_owned(), vec![backend.address.clone()].into());
        backends.push(backend);
    }
    (config, backends)
}

#[tokio::test]
async fn the_longest_prefix_that_fits_is_the_one_that_is_found() {
    let to = |path: &str, service: &str| asking(path, &[], service);
    let routes = vec![
        to("/a/{*rest}", "all"),
        to("/a/b/{*rest}", "some"),
        to("/a/b/c", "one"),
        to("/a/b/c/{id}/x", "deep"),
    ];
    let (config, _backends) = named(&["all", "some", "one", "deep"], routes).await;
    let house = House::with(config).await;
    for (path, service) in [
        ("/a/z", "all"),
        ("/a/z/z/z", "all"),
        ("/a/b/z", "some"),
        ("/a/b/c/d/e", "some"),
        ("/a/b/c", "one"),
        ("/a/b/c/d/x", "deep"),
        ("/a/b/c/d/x/y", "some"),
    ] {
        assert_eq!(house.get(path).await.text(), format!("{service} {path}"));
    }
}

#[tokio::test]
async fn of_routes_with_one_path_the_one_whose_headers_a_request_has_is_taken() {
    let routes = vec![
        asking("/x", &[], "plain"),
        asking("/x", &[("X-Version", Some("2"))], "two"),
        asking("/x", &[("x-version", None)], "any"),
        asking("/x", &[("x-version", Some("2")), ("x-beta", None)], "beta"),
        asking("/only", &[("x-version", Some("2"))], "two"),
    ];
    let (config, _backends) = named(&["plain", "two", "any", "beta"], routes).await;
    let house = House::with(config).await;
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "plain"),
        (&[("x-beta", "1")], "plain"),
        (&[("x-version", "2")], "two"),
        (&[("X-VERSION", "3")], "any"),
        (&[("x-version", "3"), ("x-version", "2")], "two"),
        (&[("x-beta", ""), ("x-version", "2")], "beta"),
    ];
    for (headers, service) in cases {
        assert_eq!(house.ask("GET", "/x", headers, "").await.text(), format!("{service} /x"), "{headers:?}");
    }
    house.get("/only").await.assert_problem(404, "not-found");
    house.ask("POST", "/only", &[("x-version", "2")], "").await.assert_problem(405, "method-not-allowed");
    house.ask("POST", "/only", &[], "").await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn the_beginning_of_a_path_can_be_replaced_and_the_query_stays() {
    let rewrite =
        |prefix: &str, with: &str| settings::Rewrite { prefix: prefix.to_owned(), with: with.to_owned() };
    let mut old = public(Method::Get, "/api/v1/patients/{id}");
    old.rewrite = Some(rewrite("/api/v1", "/api"));
    let mut files = public(Method::Get, "/files/{*rest}");
    files.rewrite = Some(rewrite("/files", "/store/a"));
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![old, files]).await;
    assert_eq!(house.get("/api/v1/patients/7?full=%2F").await.text(), "GET /api/patients/7?full=%2F 0");
    assert_eq!(house.get("/files/x/%20y").await.text(), "GET /store/a/x/%20y 0");
    house.get("/files/../internal/events").await.assert_problem(400, "malformed-request");
}

#[tokio::test]
async fn a_route_may_take_larger_bodies_than_others_or_smaller_ones() {
    let limited =
        |path: &str, bytes| settings::Route { body_bytes_max: Some(bytes), ..public(Method::Post, path) };
    let routes = vec![limited("/large", 4_096), limited("/small", 10), public(Method::Post, "/x")];
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes).await;
    let body = |bytes: usize| "b".repeat(bytes);
    for (path, bytes, status) in [
        ("/x", 1_024, 200),
        ("/x", 1_025, 413),
        ("/large", 4_096, 200),
        ("/large", 4_097, 413),
        ("/small", 10, 200),
        ("/small", 11, 413),
    ] {
        assert_eq!(house.ask("POST", path, &[], &body(bytes)).await.status, status, "{path} {bytes}");
    }
}

#[tokio::test]
async fn each_route_balances_in_its_own_way_over_endpoints_that_share_their_load() {
    let (quick, slow) = (
        Backend::echo().await,
        Backend::raw(|mut stream, _| async move {
            crate::backend::read_head(&mut stream).await;
            std::future::pending::<()>().await;
        })
        .await,
    );
    let mut routes = vec![public(Method::Get, "/circle"), public(Method::Get, "/least")];
    routes[1].balancing = Some(settings::Balancing::LeastConnections);
    let house = House::with(config(vec![quick.address.clone(), slow.address.clone()], routes)).await;
    // Two by the first route, of which one stays at the slow endpoint.
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = house.client().await;
        client.send(crate::wire::request("GET", "/circle", &[], "")).await;
        clients.push(client);
    }
    crate::backend::eventually("one hangs", || slow.connections() == 1).await;
    for _ in 0..20 {
        assert_eq!(house.get("/least").await.status, 200, "the other route knows that one is busy");
    }
}

#[tokio::test]
async fn routes_that_nobody_could_reach_are_refused_by_their_place() {
    let faults = async |routes: Vec<settings::Route>| {
        let (config, _backends) = named(&["patient-service", "other"], routes).await;
        let backend = Backend::echo().await;
        let house = House::before(&backend, Vec::new()).await;
        house.gateway.apply(config).err().map(|error| error.faults).unwrap_or_default()
    };
    let x = |headers: &[(&str, Option<&str>)]| asking("/x", headers, "patient-service");
    let two = [("a", Some("1")), ("b", None)];
    assert_eq!(
        faults(vec![x(&two), x(&[two[1], two[0]])]).await,
        ["routes[1].headers: routes[0] takes all that come here"]
    );
    assert_eq!(faults(vec![x(&[("A", Some("1"))]), x(&[("a", Some("1"))])]).await.len(), 1);
    assert_eq!(faults(vec![x(&[]), x(&[])]).await, ["routes[1].path: GET /x is there twice"]);
    assert_eq!(faults(vec![x(&[]), x(&[("a", None)]), x(&[("a", Some("1"))]), x(&two)]).await, [""; 0]);
    assert!(faults(vec![x(&[("a b", None)])]).await[0].starts_with("routes[0].headers: a b"));

    let canary = |upstream: &str, percent| settings::Canary { upstream: upstream.to_owned(), percent };
    for (bad, field) in [
        (settings::Route { canary: Some(canary("nobody", 5.0)), ..x(&[]) }, "canary.upstream"),
        (settings::Route { canary: Some(canary("patient-service", 5.0)), ..x(&[]) }, "canary.upstream"),
        (settings::Route { canary: Some(canary("other", 100.1)), ..x(&[]) }, "canary.percent"),
        (settings::Route { canary: Some(canary("other", f64::NAN)), ..x(&[]) }, "canary.percent"),
        (settings::Route { concurrency_max: Some(0), ..x(&[]) }, "concurrencyMax"),
        (
            settings::Route { priority: settings::Priority::Low, ..asking("/livez", &[], "gateway") },
            "priority",
        ),
        (
            settings::Route {
                rewrite: Some(settings::Rewrite { prefix: "/y".to_owned(), with: String::new() }),
                ..x(&[])
            },
            "rewrite.prefix",
        ),
    ] {
        let found = faults(vec![bad]).await;
        assert!(found.len() == 1 && found[0].starts_with(&format!("routes[0].{field}: ")), "{found:?}");
    }
}
