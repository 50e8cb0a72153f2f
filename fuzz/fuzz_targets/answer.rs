//! Bytes that a service answers with: whatever they are, no panic; and the next request, of whoever asks it, gets its own answer and nothing that was
//! left of this one.
#![no_main]

mod world;

use std::path::Path;
use std::time::Duration;

use gateway::Gateway;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use world::CLIENT;

/// What every request but the first is answered with. Nobody would guess the field.
const NEXT: &[u8] = b"HTTP/1.1 200 OK\r\nx-next: 5f1c2a9e\r\ncontent-length: 4\r\n\r\nnext";
/// Room for all that one request is answered with.
const PIPE_BYTES: usize = 1 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(5);

fuzz_target!(|data: &[u8]| {
    let Some((first, answer)) = data.split_first() else { return };
    let (method, is_cut) = (["GET", "HEAD", "POST"][usize::from(first % 3)], first & 0x80 != 0);
    let (runtime, path) = (world::runtime(), world::socket("answer"));
    let answer = answer.to_vec();
    runtime.block_on(async move {
        service(&path, answer, is_cut);
        let gateway = world::gateway(&path).await;
        ask(&gateway, &format!("{method} /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await;
        let next = ask(&gateway, "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        let text = String::from_utf8_lossy(&next);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nx-next: 5f1c2a9e\r\n") && text.ends_with("\r\n\r\nnext"), "{text}");
    });
});

async fn ask(gateway: &Gateway, request: &str) -> Vec<u8> {
    let (mut client, stream) = duplex(PIPE_BYTES);
    let talk = async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    tokio::join!(gateway.converse(stream, CLIENT), talk).1
}

/// Answers the first request with these bytes, all at once or cut in two, and ends the connection some time later; every other as it should.
fn service(path: &Path, answer: Vec<u8>, is_cut: bool) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut first = Some(answer);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, first.take(), is_cut));
        }
    });
}

async fn serve(mut stream: UnixStream, mut first: Option<Vec<u8>>, is_cut: bool) {
    let mut heard = Vec::new();
    // Whoever waits for more of the first answer waits until then; whoever has enough may ask again before.
    while let Ok(Ok(1..)) = timeout(SILENCE_MAX, stream.read_buf(&mut heard)).await {
        while let Some(end) = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            heard.drain(..end + 4);
            let answer = first.take().unwrap_or_else(|| NEXT.to_vec());
            let (now, later) = answer.split_at(if is_cut { answer.len() / 2 } else { answer.len() });
            for piece in [now, later] {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    }
}
