//! A network that drops packets and tells nobody. The service's ends of its connections, and the socket it listens at, get a packet filter
//! that takes nothing: no request arrives, no acknowledgement, no new connection, and no reset says so. It needs no rights, no network of its own
//! and no other program, and the kernel that goes on waiting and asking is the real one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use settings::{Address, HealthCheck, Method, Route};
use socket2::{SockFilter, SockRef, Socket};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{RETRIES, before, metric, says};
use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, public};

/// After this the kernel says that the other machine is gone (`ARRIVED_MAX` in `upstream.rs`), and a busy machine adds to it.
pub(crate) const NOTICED_IN: Duration = Duration::from_secs(7);

/// The way to a service, which can be cut.
pub(crate) struct Wire {
    pub(crate) address: Address,
    /// This end of all that there is: where it listens, and each connection.
    sockets: Arc<Mutex<Vec<Socket>>>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub(crate) async fn to(backend: &Backend) -> Self {
        let service = backend.address.authority().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address(format!("http://{}", listener.local_addr().unwrap()));
        let sockets = Arc::new(Mutex::new(vec![SockRef::from(&listener).try_clone().unwrap()]));
        let known = Arc::clone(&sockets);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                known.lock().unwrap().push(SockRef::from(&near).try_clone().unwrap());
                let service = service.clone();
                open.spawn(async move {
                    let mut far = TcpStream::connect(service).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self { address, sockets, task }
    }

    /// From now on nothing that is sent gets there.
    pub(crate) fn cut(&self) {
        const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];
        for socket in self.sockets.lock().unwrap().iter() {
            socket.attach_filter(&DROP_ALL).unwrap();
        }
    }

    pub(crate) fn mend(&self) {
        for socket in self.sockets.lock().unwrap().iter() {
            socket.detach_filter().unwrap();
        }
    }
}

fn retried(method: Method) -> Route {
    Route { retries: Some(RETRIES), ..Route { timeout_ms: 20_000, ..public(method, "/x") } }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_cut_wire_an_endpoint_is_found_out_by_the_check_and_back_when_it_is_mended() {
    const INTERVAL: Duration = Duration::from_millis(100);
    let (lost, stays) = (Backend::echo().await, Backend::echo().await);
    let wire = Wire::to(&lost).await;
    let mut config = before(
        vec![wire.address.clone(), stays.address.clone()],
        vec![retried(Method::Get), retried(Method::Post)],
    );
    config.upstreams.get_mut("patient-service").unwrap().health_check = Some(HealthCheck {
        path: "/ready".to_owned(),
        interval_ms: u64::try_from(INTERVAL.as_millis()).unwrap(),
        timeout_ms: 200,
        ..HealthCheck::default()
    });
    let house = House::with(config).await;
    let mut client = house.client().await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
    }
    says(&house, "endpoint_state", &wire.address, 0, INTERVAL * 20).await;
    let before = lost.requests().iter().filter(|seen| seen.method == "POST").count();

    wire.cut();
    let since = Instant::now();
    says(&house, "endpoint_state", &wire.address, 3, Duration::from_secs(5)).await;
    println!("found out after {:?}", since.elapsed());
    let since = Instant::now();
    for _ in 0..50 {
        assert_eq!(client.ask("GET", "/x", &[], "").await.status, 200);
        assert_eq!(client.ask("POST", "/x", &[], "{}").await.status, 200);
    }
    assert!(
        since.elapsed() < NOTICED_IN,
        "nobody waits for one that is known to be gone: {:?}",
        since.elapsed()
    );
    assert_eq!(metric(&house, "retries_total", None), Some(0), "nothing was sent there");

    wire.mend();
    let since = Instant::now();
    says(&house, "endpoint_state", &wire.address, 0, Duration::from_secs(5)).await;
    println!("back after {:?}", since.elapsed());
    for _ in 0..20 {
        assert_eq!(client.ask("POST", "/x", &[], "{}").await.status, 200);
    }
    let after = lost.requests().iter().filter(|seen| seen.method == "POST").count();
    assert!(after >= before + 8, "it has its share again: {}", after - before);
}

/// Nobody checks, so it is the requests that find out: the kernel tells them after three seconds that what they sent has not arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_on_a_connection_that_was_cut_is_answered_elsewhere_and_a_write_is_told_that_it_may_have_happened()
 {
    let (lost, stays) = (Backend::echo().await, Backend::echo().await);
    let wire = Wire::to(&lost).await;
    let config = before(
        vec![wire.address.clone(), stays.address.clone()],
        vec![retried(Method::Get), retried(Method::Post)],
    );
    let house = House::with(config).await;
    // A connection to each for everybody who asks below.
    for _ in 0..2 {
        let asked = (0..4).map(|_| house.get("/x"));
        assert!(futures_util::future::join_all(asked).await.iter().all(|answer| answer.status == 200));
    }
    let before = (lost.requests().len(), stays.requests().len());
    wire.cut();
    let since = Instant::now();
    let reads = futures_util::future::join_all((0..4).map(|_| house.get("/x")));
    let writes = futures_util::future::join_all((0..4).map(|_| house.ask("POST", "/x", &[], "{}")));
    let (reads, writes) = tokio::join!(reads, writes);
    let took = since.elapsed();
    assert!(reads.iter().all(|answer| answer.status == 200), "{reads:?}");
    let told = writes.iter().filter(|answer| answer.status == 503).count();
    assert!(writes.iter().all(|answer| matches!(answer.status, 200 | 503)), "{writes:?}");
    println!("{told} of 4 writes were told that they may have happened, all within {took:?}");
    assert!(took < NOTICED_IN, "long before the routes' deadline: {took:?}");
    assert_eq!(lost.requests().len(), before.0, "nothing arrived behind the cut");
    let writes = stays.requests()[before.1..].iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(writes, 4 - told, "and no write arrived that was not answered");
}

/// It took the request, and was gone before it answered: nothing of ours is unacknowledged, so the kernel has to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_gone_in_mid_request_or_mid_answer_is_noticed_before_the_deadline() {
    let backend = Backend::raw(|mut stream, _| async move {
        if read_head(&mut stream).await.starts_with("GET /half") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let wire = Wire::to(&backend).await;
    let routes = vec![
        Route { timeout_ms: 20_000, ..public(Method::Post, "/x") },
        Route { timeout_ms: 20_000, ..public(Method::Get, "/half") },
    ];
    let house = House::with(before(vec![wire.address.clone()], routes)).await;
    let since = Instant::now();
    let asked = async { tokio::join!(house.ask("POST", "/x", &[], "{}"), house.get("/half")) };
    let cut = async {
        eventually("both have arrived", || backend.connections() == 2).await;
        // And half of an answer is on its way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        wire.cut();
    };
    let ((write, half), ()) = tokio::join!(asked, cut);
    write.assert_problem(503, "unavailable");
    assert_eq!((half.status, half.text(), half.whole), (200, "half", false));
    let took = since.elapsed();
    println!("noticed after {took:?}");
    assert!(took < NOTICED_IN, "{took:?}");
    assert_eq!(backend.connections(), 2, "and nothing was sent a second time");
}
