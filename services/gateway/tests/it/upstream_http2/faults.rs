//! Services that fail in HTTP/2's own ways, and what the client gets then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response};
use settings::{Ejection, GatewayConfig, Method, Retries, Route};
use tokio::io::AsyncWriteExt;

use super::service::{Frames, converse, echo, full, service, told};
use crate::backend::{Backend, eventually, read_head};
use crate::faults::partition::{NOTICED_IN, Wire};
use crate::house::{House, captured_log, public};
use crate::http2::frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM};

const RETRIES: Retries =
    Retries { attempts: 2, base_backoff_ms: 1, max_backoff_ms: 5, budget_percent: 100, per_try_ms: None };
/// `:status: 200` (RFC 7541, appendix A).
const OK: &[u8] = &[0x88];
const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

fn routes() -> Vec<Route> {
    let get = Route { retries: Some(RETRIES), ..public(Method::Get, "/x") };
    vec![get, public(Method::Post, "/x"), Route { timeout_ms: 200, ..public(Method::Get, "/hangs") }]
}

fn never_set_aside(backend: &Backend) -> GatewayConfig {
    let mut config = told(vec![backend.address.clone()], routes());
    config.upstreams.get_mut("patient-service").unwrap().ejection =
        Ejection { failures: 0, connect_failures: 0, ..Ejection::default() };
    config
}

async fn before(backend: &Backend) -> House {
    House::with(never_set_aside(backend)).await
}

/// Two requests at once: a write and a read.
async fn write_and_read(house: &House) -> [(u16, String); 2] {
    let (written, read) = tokio::join!(house.ask("POST", "/x", &[], "body"), house.get("/x"));
    [written, read].map(|answer| (answer.status, answer.text().to_owned()))
}

/// As nginx says goodbye: at once, naming the last request that it takes.
#[tokio::test]
async fn what_a_service_that_goes_away_has_not_come_to_is_sent_again_even_a_write() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let backend = Backend::raw(move |stream, number| {
        let count = Arc::clone(&count);
        async move {
            if number > 0 {
                return converse(stream, 100, None, echo).await;
            }
            let Some(mut service) = Frames::greet(stream, &[]).await else { return };
            for _ in 0..2 {
                service.until(HEADERS).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
            // No request at all was worked on.
            service.send(GOAWAY, 0, 0, &[0; 8]).await;
            while service.until(HEADERS).await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let house = before(&backend).await;
    for (status, text) in write_and_read(&house).await {
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!((refused.load(Ordering::SeqCst), backend.connections()), (2, 2));
    assert_eq!(house.gateway.report().metrics.errors, 0);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_sent_again_even_a_write() {
    let backend = Backend::raw(|stream, _| async move {
        let Some(mut service) = Frames::greet(stream, &[]).await else { return };
        let mut is_refused = true;
        while let Some(stream) = service.until(HEADERS).await {
            if is_refused {
                service.send(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes()).await;
            } else {
                service.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
            }
            is_refused = !is_refused;
        }
    })
    .await;
    let house = before(&backend).await;
    for method in ["POST", "GET", "POST"] {
        assert_eq!(
            house.ask(method, "/x", &[], if method == "POST" { "body" } else { "" }).await.status,
            200
        );
    }
    assert_eq!(backend.connections(), 1, "the connection goes on");
}

/// What it did with them, nobody knows.
#[tokio::test]
async fn a_connection_that_breaks_fails_its_writes_and_repeats_its_reads() {
    for is_reset in [false, true] {
        let writes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&writes);
        let backend = Backend::raw(move |stream, number| {
            let count = Arc::clone(&count);
            async move {
                if number > 0 {
                    return converse(stream, 100, None, move |request: Request<_>| {
                        count.fetch_add(usize::from(request.method() == "POST"), Ordering::SeqCst);
                        echo(request)
                    })
                    .await;
                }
                let Some(mut service) = Frames::greet(stream, &[]).await else { return };
                for _ in 0..2 {
                    service.until(HEADERS).await;
                }
                if is_reset {
                    socket2::SockRef::from(&service.stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        })
        .await;
        let house = before(&backend).await;
        let [(written, text), (read, _)] = write_and_read(&house).await;
        assert_eq!((written, read), (503, 200), "{is_reset}: {text}");
        assert!(text.contains("broke off"), "{text}");
        assert_eq!(writes.load(Ordering::SeqCst), 0, "it is not sent again");
        assert_eq!(house.ask("POST", "/x", &[], "body").await.status, 200);
    }
}

/// As with a connection that HTTP/1.1 keeps: it may have been closed at that very moment, unseen.
#[tokio::test]
async fn a_read_on_a_connection_that_has_served_and_breaks_is_sent_once_more_without_a_retry() {
    let backend = Backend::raw(|stream, number| async move {
        let Some(mut service) = Frames::greet(stream, &[]).await else { return };
        let mut answers = if number == 0 { 1 } else { 100 };
        while let Some(stream) = service.until(HEADERS).await {
            if answers == 0 {
                return;
            }
            service.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
            answers -= 1;
        }
    })
    .await;
    let mut config = never_set_aside(&backend);
    config.routes[0].retries = None;
    let house = House::with(config).await;
    for _ in 0..3 {
        let answer = house.get("/x").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_is_reset_in_the_middle_ends_there_and_its_neighbours_do_not() {
    let backend = Backend::raw(|stream, _| async move {
        let Some(mut service) = Frames::greet(stream, &[]).await else { return };
        let (Some(first), Some(second)) = (service.until(HEADERS).await, service.until(HEADERS).await) else {
            return;
        };
        for stream in [first, second] {
            service.send(HEADERS, END_HEADERS, stream, OK).await;
            service.send(DATA, 0, stream, b"half").await;
        }
        service.send(RST_STREAM, 0, first, &INTERNAL_ERROR.to_be_bytes()).await;
        service.send(DATA, END_STREAM, second, b" and half").await;
        while let Some(stream) = service.until(HEADERS).await {
            service.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
        }
    })
    .await;
    let house = before(&backend).await;
    let (one, other) = tokio::join!(house.get("/x"), house.get("/x"));
    let mut both = [one, other].map(|answer| (answer.status, answer.whole, answer.text().to_owned()));
    both.sort();
    assert_eq!(both, [(200, false, "half".to_owned()), (200, true, "half and half".to_owned())]);
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_service_that_hangs_is_504_and_its_connection_serves_others() {
    let backend = service(async |request: Request<_>| {
        if request.uri().path() == "/hangs" {
            std::future::pending::<()>().await;
        }
        Response::new(full("ok"))
    })
    .await;
    let house = before(&backend).await;
    for _ in 0..3 {
        let (hung, well) = tokio::join!(house.get("/hangs"), house.get("/x"));
        hung.assert_problem(504, "deadline-exceeded");
        assert_eq!(well.text(), "ok");
    }
    assert_eq!(backend.connections(), 1);
}

/// Before it has greeted nothing is asked of it, so that a write can be sent elsewhere.
#[tokio::test]
async fn one_that_takes_connections_and_does_not_greet_is_not_reached() {
    let backend = Backend::raw(|_stream, _| std::future::pending()).await;
    let house = before(&backend).await;
    let since = Instant::now();
    let answers = (0..20).map(|_| house.ask("POST", "/x", &[], "body"));
    for answer in futures_util::future::join_all(answers).await {
        answer.assert_problem(503, "unavailable");
        assert!(answer.text().contains("cannot be reached"), "{}", answer.text());
    }
    assert!(since.elapsed() < Duration::from_secs(3), "all wait for the same: {:?}", since.elapsed());
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn without_tls_a_service_that_does_not_speak_it_is_not_reached_and_the_log_says_why() {
    let log = captured_log();
    let only_http1 = Backend::echo().await;
    let refuses = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let garbage = Backend::raw(|mut stream, _| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let closes = Backend::raw(|_, _| async {}).await;
    for (backend, said) in [
        (&only_http1, None),
        (&refuses, Some("it answers in HTTP/1.1 where HTTP/2 is asked for")),
        (&garbage, Some("it does not answer in HTTP/2, which is asked for")),
        (&closes, None),
    ] {
        let house = before(backend).await;
        for _ in 0..3 {
            house.ask("POST", "/x", &[], "body").await.assert_problem(503, "unavailable");
        }
        assert!(!house.gateway.is_ready().await);
        if let Some(said) = said {
            let log = log.lock().unwrap().clone();
            let authority = backend.address.authority().unwrap();
            let lines: Vec<_> =
                log.lines().filter(|line| line.contains(authority) && line.contains(said)).collect();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains(r#""level":"WARN""#), "{lines:?}");
        }
    }
    assert!(only_http1.requests().is_empty());
}

#[tokio::test]
async fn nobody_there_is_503_and_somebody_there_again_is_answered() {
    let (socket, address) = crate::backend::socket();
    drop(socket);
    let mut config = told(vec![settings::Address(format!("http://{address}"))], routes());
    config.upstreams.get_mut("patient-service").unwrap().ejection =
        Ejection { failures: 0, connect_failures: 0, ..Ejection::default() };
    let house = House::with(config).await;
    house.get("/x").await.assert_problem(503, "unavailable");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let serves = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, 100, None, echo));
        }
    });
    assert_eq!(house.get("/x").await.status, 200);
    serves.abort();
}

/// A client that leaves takes its request with it, and nobody else's.
#[tokio::test]
async fn a_client_that_leaves_has_its_stream_reset() {
    let is_dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_dropped);
    let backend = service(move |request: Request<_>| {
        struct Told(Arc<AtomicBool>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let told = (request.method() == "POST").then(|| Told(Arc::clone(&flag)));
        async move {
            if let Some(_told) = told {
                std::future::pending::<()>().await;
            }
            Response::new(full("ok"))
        }
    })
    .await;
    let house = before(&backend).await;
    let mut client = house.client().await;
    client.send(crate::wire::request("POST", "/x", &[], "body")).await;
    assert_eq!(house.get("/x").await.status, 200);
    drop(client);
    eventually("the handler is told", || is_dropped.load(Ordering::SeqCst)).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(backend.connections(), 1);
}

/// Nothing of ours is unacknowledged, so the kernel has to ask, as in HTTP/1.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_gone_is_noticed_before_the_deadline_and_the_next_request_opens_another_connection()
{
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let backend = service(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    })
    .await;
    let wire = Wire::to(&backend).await;
    let mut config = never_set_aside(&backend);
    config.upstreams.get_mut("patient-service").unwrap().endpoints = vec![wire.address.clone()];
    config.routes[1].timeout_ms = 20_000;
    let house = House::with(config).await;
    let since = Instant::now();
    let writes = futures_util::future::join_all((0..4).map(|_| house.ask("POST", "/x", &[], "body")));
    let cut = async {
        eventually("all have arrived", || asked.load(Ordering::SeqCst) == 4).await;
        wire.cut();
    };
    let (writes, ()) = tokio::join!(writes, cut);
    for write in writes {
        write.assert_problem(503, "unavailable");
    }
    assert!(since.elapsed() < NOTICED_IN, "{:?}", since.elapsed());
    assert_eq!(
        (asked.load(Ordering::SeqCst), backend.connections()),
        (4, 1),
        "nothing was sent a second time"
    );
    wire.mend();
    house.get("/hangs").await.assert_problem(504, "deadline-exceeded");
    assert_eq!(backend.connections(), 2);
}
