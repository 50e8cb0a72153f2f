//! TLS at the gateway's front: HTTP/1.1 over it, and certificates that change.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use settings::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::backend::Backend;
use crate::front::Front;
use crate::house::{House, config, public};

/// Longer than a connection keeps what it needs for requests after its first one.
const REST: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(10);

/// A backend that answers with as many bytes as it is asked for.
async fn generous() -> Backend {
    Backend::answering(|request| async move {
        let bytes = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
        Response::new(Full::new(Bytes::from(vec![b'x'; bytes])))
    })
    .await
}

/// A connection whose reader takes little at a time, so that the sender is soon left with what it has.
async fn narrow(front: &Front, house: &House) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    front.shake_hands(socket.connect(house.address).await.unwrap(), &["http/1.1"]).await
}

/// rustls takes up to 64 KiB that the socket does not take yet. Where the socket's room ends is the kernel's business, so the sizes go up in
/// smaller steps than that: one of them at least ends within.
#[tokio::test]
async fn a_slow_tls_reader_gets_the_whole_answer_although_the_connection_could_rest() {
    let (backend, front) = (generous().await, Front::new());
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::on(config, |socket| front.listener(socket)).await;
    let mut readers = JoinSet::new();
    for step in 1..=100 {
        let bytes = step * 40 * 1024;
        let mut stream = narrow(&front, &house).await;
        readers.spawn(async move {
            let request = format!("GET /x?{bytes} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            tokio::time::sleep(REST).await;
            let mut answer = Vec::new();
            let mut buffer = vec![0; 64 * 1024];
            let read = timeout(PATIENCE, async {
                while !is_whole(&answer, bytes) {
                    match stream.read(&mut buffer).await {
                        Ok(read) if read > 0 => answer.extend_from_slice(&buffer[..read]),
                        _ => return,
                    }
                }
            })
            .await;
            (bytes, answer.len(), read.is_ok() && is_whole(&answer, bytes))
        });
    }
    let short: Vec<_> = readers.join_all().await.into_iter().filter(|(_, _, whole)| !whole).collect();
    assert!(short.is_empty(), "asked for, got: {short:?}");
}

fn is_whole(answer: &[u8], bytes: usize) -> bool {
    let end = answer.windows(4).take(4096).position(|window| window == b"\r\n\r\n");
    end.is_some_and(|end| answer.len() == end + 4 + bytes)
}

#[tokio::test]
async fn a_certificate_that_changes_is_shown_to_connections_from_then_on() {
    let (backend, front) = (generous().await, Front::new());
    let config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    let house = House::on(config, |socket| front.listener(socket)).await;
    let shown =
        |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].as_ref().to_vec();
    let mut before = front.connect(house.address, &["http/1.1"]).await;
    front.renew();
    let after = front.connect(house.address, &["http/1.1"]).await;
    assert_ne!(shown(&before), shown(&after));
    before.write_all(b"GET /x?2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("xx"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
}
