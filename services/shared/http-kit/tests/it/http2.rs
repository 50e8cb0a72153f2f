//! HTTP/2 at a service's socket, beside HTTP/1.1: by its preface, or by what TLS agreed upon.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use http_kit::serve::{self, Running};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testkit::TestDb;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::*;

pub(crate) type Client = SendRequest<Full<Bytes>>;

/// Speaks HTTP/2 on a connection.
pub(crate) async fn client<S>(stream: S) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) async fn connect(address: &Address) -> Client {
    client(UnixStream::connect(address.unix_path().unwrap()).await.unwrap()).await
}

pub(crate) fn request(method: &str, path: &str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(format!("http://service{path}")).body(Full::default()).unwrap()
}

async fn get(client: &mut Client, path: &str) -> hyper::Result<Response<Incoming>> {
    client.send_request(request("GET", path)).await
}

async fn started(test: &TestDb) -> Running {
    let settings = settings(test.settings().clone(), socket(test));
    serve::start(service(no_tables()), settings, world(test)).await.unwrap()
}

/// Until it is told that the connection ends.
async fn told_to_go(client: &mut Client) {
    let told = async {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), told).await.unwrap();
}

/// Frames (RFC 9113 §4.1), for what no client that is well would send.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The next frame of this kind; none if the connection ends before.
async fn next(stream: &mut UnixStream, wanted: u8) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 9];
        timeout(Duration::from_secs(5), stream.read_exact(&mut head)).await.unwrap().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        if head[3] == wanted {
            return Some(payload);
        }
    }
}

async fn raw(test: &TestDb) -> UnixStream {
    let mut stream = UnixStream::connect(socket(test).unix_path().unwrap()).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

testkit::on_both_engines! {
    migrations = crate::no_tables();

    async fn many_requests_are_answered_at_once_on_one_connection(test: TestDb) {
        let running = started(&test).await;
        let mut client = connect(&socket(&test)).await;
        let since = Instant::now();
        let answers = futures_util::future::join_all((0..50).map(|_| {
            let mut client = client.clone();
            async move { get(&mut client, "/slow").await }
        }));
        for answer in answers.await {
            let answer = answer.unwrap();
            assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
        }
        assert!(since.elapsed() < Duration::from_secs(5), "one after the other takes 15 s: {:?}", since.elapsed());
        assert_eq!(get(&mut client, "/nothing").await.unwrap().status(), 404);
        running.stop().await;
    }

    async fn a_socket_takes_either_and_curl_is_answered_in_both(test: TestDb) {
        let running = started(&test).await;
        for (how, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
            let path = socket(&test).unix_path().unwrap().to_path_buf();
            let curl = move || {
                let mut curl = Command::new("curl");
                curl.args(["--silent", how, "--write-out", " %{http_version} %{response_code}", "--unix-socket"]);
                curl.arg(path).arg("http://service/slow").output().unwrap()
            };
            let output = tokio::task::spawn_blocking(curl).await.unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("done {version} 200"), "{how}");
        }
        running.stop().await;
    }

    async fn a_panic_ends_its_stream_alone(test: TestDb) {
        let running = started(&test).await;
        let mut client = connect(&socket(&test)).await;
        let mut beside = client.clone();
        let (panics, slow) = tokio::join!(get(&mut client, "/panic"), get(&mut beside, "/slow"));
        assert!(panics.is_err());
        assert_eq!(slow.unwrap().status(), 200);
        assert_eq!(get(&mut client, "/slow").await.unwrap().status(), 200);
        running.stop().await;
    }

    async fn one_that_lingers_sends_its_callers_elsewhere_and_loses_nothing(test: TestDb) {
        let running = started(&test).await;
        let mut client = connect(&socket(&test)).await;
        assert_eq!(get(&mut client, "/livez").await.unwrap().status(), 200);
        let slow = tokio::spawn({ let mut client = client.clone(); async move { get(&mut client, "/slow").await } });
        tokio::time::sleep(Duration::from_millis(50)).await;
        running.linger();
        told_to_go(&mut client).await;
        let slow = slow.await.unwrap().unwrap();
        assert_eq!((slow.status().as_u16(), slow.headers().get("connection")), (200, None));
        // Whoever comes now is served, and told at once.
        let mut late = connect(&socket(&test)).await;
        assert_eq!(get(&mut late, "/readyz").await.unwrap().status(), 503);
        told_to_go(&mut late).await;
        running.stop().await;
    }

    async fn what_is_under_way_over_http2_when_it_stops_is_finished(test: TestDb) {
        let running = started(&test).await;
        let (mut busy, mut idle) = (connect(&socket(&test)).await, connect(&socket(&test)).await);
        let slow = tokio::spawn(async move { get(&mut busy, "/slow").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let since = Instant::now();
        running.stop().await;
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert_eq!(slow.await.unwrap().unwrap().status(), 200);
        assert!(get(&mut idle, "/livez").await.is_err());
    }

    async fn a_caller_is_told_its_bounds(test: TestDb) {
        let running = started(&test).await;
        let mut stream = raw(&test).await;
        let settings = next(&mut stream, SETTINGS).await.unwrap();
        let told = |id: u8| {
            let one = settings.chunks(6).find(|one| one[..2] == [0, id])?;
            Some(u32::from_be_bytes(one[2..].try_into().unwrap()))
        };
        // SETTINGS_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_HEADER_LIST_SIZE (RFC 9113 §6.5.2)
        assert_eq!((told(3), told(4), told(6)), (Some(128), Some(64 * 1024), Some(96 * 1024)));
        running.stop().await;
    }

    /// CVE-2023-44487.
    async fn requests_that_are_reset_at_once_end_the_connection(test: TestDb) {
        let running = started(&test).await;
        let mut stream = raw(&test).await;
        // GET, http, /slow, and whose: in HPACK without its tables' help (RFC 7541 §6.2.2).
        let head = [&[0x82, 0x86, 0x04, 5][..], b"/slow", &[0x01, 1], b"a"].concat();
        let mut flood = Vec::new();
        for number in 0..4_000 {
            flood.extend(frame(HEADERS, 0x5, 2 * number + 1, &head));
            flood.extend(frame(RST_STREAM, 0, 2 * number + 1, &8_u32.to_be_bytes()));
        }
        // It may be cut off in the middle of it.
        let _ = stream.write_all(&flood).await;
        let goaway = next(&mut stream, GOAWAY).await.unwrap();
        assert_eq!(goaway[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
        let mut other = connect(&socket(&test)).await;
        assert_eq!(get(&mut other, "/livez").await.unwrap().status(), 200);
        running.stop().await;
    }
}
