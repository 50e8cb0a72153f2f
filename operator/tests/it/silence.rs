//! A connection that goes silent without ending, as behind a load balancer that drops idle flows: the watch goes on elsewhere in bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Config, ResourceExt};
use operator::metrics::Metrics;
use operator::transport::{Fence, SILENCE_TIMEOUT, Signs, client};
use operator::watch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/api/v1/namespaces/clinic/configmaps";
const LIST: &str =
    r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;

/// An API server with one list. The first watch shows one object and is then silent for ever; the second one shows another.
async fn api_server(listener: TcpListener, watches: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(stream, Arc::clone(&watches)));
    }
}

async fn connection(mut stream: TcpStream, watches: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend_from_slice(&part[..read]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let is_watch = String::from_utf8_lossy(&request).contains("watch=true");
        request.clear();
        let answer = if is_watch {
            let number = watches.fetch_add(1, Ordering::SeqCst) + 2;
            let event = format!(
                "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\
                 \"metadata\":{{\"name\":\"seen-{number}\",\"namespace\":\"clinic\",\"resourceVersion\":\"{number}\"}}}}}}\n"
            );
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
                event.len()
            )
        } else {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{LIST}",
                LIST.len()
            )
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_that_goes_silent_is_opened_anew_in_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let watches = Arc::new(AtomicUsize::new(0));
    tokio::spawn(api_server(listener, Arc::clone(&watches)));
    let signs = Signs::default();
    let config = Config::new(address.parse().unwrap());
    let client = client(config, &Metrics::new(), &Fence::default(), &signs).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "clinic");
    let mut events = Box::pin(watch::events(api, watch::config(), PATH.to_owned(), signs.clone()));
    assert_eq!(object(&mut events).await, "seen-2");

    // The clock leaps to what is waited for, until that has come.
    tokio::time::pause();
    let silent = tokio::time::Instant::now();
    assert!(events.next().await.unwrap().is_err(), "an end of what cannot end by itself");
    let took = silent.elapsed();
    tokio::time::resume();
    assert!(took + Duration::from_secs(1) >= SILENCE_TIMEOUT, "it was not given time: {took:?}");
    assert!(took <= SILENCE_TIMEOUT + Duration::from_secs(1), "{took:?}");

    assert_eq!(object(&mut events).await, "seen-3");
    assert_eq!(watches.load(Ordering::SeqCst), 2);
    assert!(signs.silences().iter().all(|(_, silence)| *silence < Duration::from_secs(5)), "{signs:?}");
}

/// The next object that a watch shows.
async fn object(events: &mut (impl Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin)) -> String {
    loop {
        if let Event::Apply(object) = events.next().await.unwrap().unwrap() {
            return object.name_any();
        }
    }
}
