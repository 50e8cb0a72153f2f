//! Connections that become a `WebSocket`: by whose leave, and how long.

use std::sync::Arc;
use std::time::Duration;

use contracts::permission::Role;
use futures_util::{SinkExt, StreamExt};
use settings::Method;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, counts, guarded, public};
use crate::places::{has_places, of_one_hand};

/// A service that says again what it is told.
async fn parrot() -> Backend {
    Backend::raw(|stream, _| async move {
        let Ok(mut socket) = accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn open(house: &House, token: Option<&str>) -> Result<WebSocketStream<TcpStream>, u16> {
    let mut request = "ws://clinic.example/live".into_client_request().unwrap();
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let stream = TcpStream::connect(house.address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, answer)) => {
            assert_eq!(answer.status(), 101);
            assert!(answer.headers().contains_key("x-request-id"));
            Ok(socket)
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, text: &str) -> Option<String> {
    socket.send(Message::text(text)).await.ok()?;
    match timeout(Duration::from_secs(10), socket.next()).await.ok()?? {
        Ok(Message::Text(text)) => Some(text.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn messages_pass_both_ways_for_whoever_may_pass_and_are_counted_as_one_tunnel() {
    let backend = parrot().await;
    let house = House::before(&backend, vec![guarded(Method::Get, "/live", &["patients:delete"])]).await;
    assert_eq!(open(&house, None).await.unwrap_err(), 401);
    let other = house.token("usr_2", Role::Receptionist);
    assert_eq!(open(&house, Some(&other)).await.unwrap_err(), 403);
    assert_eq!(backend.connections(), 0);
    let token = house.token("usr_1", Role::Admin);
    let mut socket = open(&house, Some(&token)).await.unwrap();
    let long = "x".repeat(300_000);
    for text in ["one", &long, "three"] {
        assert_eq!(say(&mut socket, text).await.as_deref(), Some(text));
    }
    assert!(counts(&house, "tunnels", 1) && counts(&house, "requests_in_flight", 0));
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    eventually("the tunnel is gone", || counts(&house, "tunnels", 0)).await;
}

#[tokio::test]
async fn a_service_that_wants_no_websocket_answers_as_ever() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    assert_eq!(open(&house, None).await.unwrap_err(), 200);
    let mut client = house.client().await;
    let asked = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")];
    for _ in 0..2 {
        assert_eq!(client.ask("GET", "/live", &asked, "").await.status, 200, "the connection goes on");
    }
}

#[tokio::test]
async fn a_service_that_speaks_another_language_than_was_asked_for_is_not_believed() {
    let backend = Backend::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    assert_eq!(open(&house, None).await.unwrap_err(), 503);
}

#[tokio::test]
async fn what_the_service_says_with_its_answer_is_not_lost() {
    let backend = Backend::raw(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
        // A text frame right behind the head (RFC 6455 §5.2).
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x02hi";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        read_head(&mut stream).await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    let mut client = house.client().await;
    client.send("GET /live HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n").await;
    let mut said = Vec::new();
    while !said.ends_with(b"hi") {
        assert!(
            timeout(
                Duration::from_secs(10),
                tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut said)
            )
            .await
            .unwrap()
            .unwrap()
                > 0
        );
    }
    assert!(said.starts_with(b"HTTP/1.1 101 ") && said.ends_with(b"\r\n\r\n\x81\x02hi"));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_through_which_nothing_passes_ends_after_two_minutes() {
    let backend = parrot().await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    let mut socket = open(&house, None).await.unwrap();
    assert!(say(&mut socket, "one").await.is_some());
    let since = Instant::now();
    assert!(matches!(socket.next().await, None | Some(Err(_))));
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(115) && took < Duration::from_secs(130), "{took:?}");
}

#[tokio::test]
async fn a_tunnel_ends_with_the_token_that_opened_it() {
    let backend = parrot().await;
    let house = House::before(&backend, vec![guarded(Method::Get, "/live", &["patients:read"])]).await;
    let mut socket = open(&house, Some(&house.token("usr_1", Role::Clinician))).await.unwrap();
    assert!(say(&mut socket, "one").await.is_some());
    house.clock.advance(chrono::TimeDelta::seconds(601));
    assert!(matches!(timeout(Duration::from_secs(10), socket.next()).await.unwrap(), None | Some(Err(_))));
}

#[tokio::test]
async fn a_gateway_that_stops_ends_tunnels_at_a_moment_of_quiet() {
    let backend = parrot().await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    let mut socket = open(&house, None).await.unwrap();
    assert!(say(&mut socket, "one").await.is_some());
    let since = Instant::now();
    house.gateway.drain().await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(matches!(socket.next().await, None | Some(Err(_))));
}

#[tokio::test]
async fn a_service_that_listens_late_keeps_its_tunnel() {
    const BYTES: usize = 24 << 20;
    let backend = Backend::raw(|stream, _| async move {
        let Ok(mut socket) = accept_async(stream).await else { return };
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut heard = 0;
        while heard < BYTES {
            let Some(Ok(message)) = socket.next().await else { return };
            heard += message.len();
        }
        let _ = socket.send(Message::text("all")).await;
    })
    .await;
    let house = House::before(&backend, vec![public(Method::Get, "/live")]).await;
    let mut socket = open(&house, None).await.unwrap();
    for _ in 0..24 {
        socket.send(Message::binary(vec![0; BYTES / 24])).await.unwrap();
    }
    let answer = timeout(Duration::from_secs(15), socket.next()).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), Message::text("all"));
}

#[tokio::test]
async fn a_place_is_taken_while_the_service_makes_up_its_mind_and_none_while_the_tunnel_lasts() {
    const ASKED: &str = "GET /live HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let may_agree = Arc::new(Semaphore::new(0));
    let agrees = Arc::clone(&may_agree);
    let backend = Backend::raw(move |stream, _| {
        let agrees = Arc::clone(&agrees);
        async move {
            drop(agrees.acquire().await);
            let Ok(mut socket) = accept_async(stream).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                let _ = socket.send(message).await;
            }
        }
    })
    .await;
    let house = House::with(of_one_hand(&backend, vec![public(Method::Get, "/live")])).await;
    let mut client = house.client().await;
    client.send(ASKED).await;
    has_places(&house, 1.0).await;
    assert_eq!(open(&house, None).await.unwrap_err(), 503);
    // It vanishes before it has an answer.
    drop(client);
    has_places(&house, 0.0).await;

    let mut client = house.client().await;
    client.send(ASKED).await;
    has_places(&house, 1.0).await;
    may_agree.add_permits(10);
    eventually("it is a tunnel", || counts(&house, "tunnels", 1)).await;
    has_places(&house, 0.0).await;
    let mut other = open(&house, None).await.unwrap();
    assert_eq!(say(&mut other, "one").await.as_deref(), Some("one"));
    assert!(counts(&house, "tunnels", 2));
    // Nor is one given back twice.
    drop((client, other));
    eventually("the tunnels are gone", || counts(&house, "tunnels", 0)).await;
    has_places(&house, 0.0).await;
}
