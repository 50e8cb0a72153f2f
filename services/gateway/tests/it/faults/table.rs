//! Everything that a service can do to a request with bytes, silence and the end of its connection; for a request that is safe to repeat and for
//! one that is not. Each row says what the client gets, how often the service was asked, and what is thought of its endpoint then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use settings::{Breaker, Ejection, Method, Route};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{RETRIES, before, metric};
use crate::backend::{Backend, eventually, read_head};
use crate::house::{House, public};

/// What becomes of the connection when all is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closes,
    Resets,
    Stays,
}
use End::{Closes, Resets, Stays};

/// What the client gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// An answer of the gateway's own.
    Problem(u16, &'static str),
    /// The service's answer, whole.
    Whole(u16),
    /// As much of the service's answer as there was, and that it is not all.
    Half(u16),
}
use Gets::{Half, Problem, Whole};

/// What is thought of an endpoint for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thought {
    /// Nothing.
    Well,
    /// It counts for setting it aside, and for its breaker.
    Bad,
    /// It counts for setting it aside. The breaker has judged it by its answer's head.
    Ejected,
}
use Thought::{Bad, Ejected, Well};

/// A row of the table.
struct Fault {
    name: &'static str,
    says: &'static str,
    end: End,
    /// A byte each so often.
    pace: Duration,
    gets: Gets,
    /// How often the service is asked: what is safe to repeat, and what is not.
    asked: [usize; 2],
    thought: Thought,
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
const BROKE: Gets = Problem(503, "unavailable");
const LATE: Gets = Problem(504, "deadline-exceeded");
/// The time that routes have whose service is not going to answer.
const SHORT: u64 = 150;

const fn fault(name: &'static str, says: &'static str, end: End) -> Fault {
    Fault { name, says, end, pace: Duration::ZERO, gets: BROKE, asked: [3, 1], thought: Bad }
}

const fn half(name: &'static str, says: &'static str, end: End) -> Fault {
    Fault { gets: Half(200), asked: [1, 1], thought: Ejected, ..fault(name, says, end) }
}

/// An answer of this status: how often what is safe to repeat is sent, and what is thought of the endpoint.
const fn answer(
    name: &'static str,
    says: &'static str,
    status: u16,
    asked: usize,
    thought: Thought,
) -> Fault {
    Fault { gets: Whole(status), asked: [asked, 1], thought, ..fault(name, says, Closes) }
}

static FAULTS: [Fault; 22] = [
    fault("closes without a word", "", Closes),
    fault("resets without a word", "", Resets),
    fault("half a head, then the end", "HTTP/1.1 200 OK\r\ncontent-le", Closes),
    fault("half a head, then a reset", "HTTP/1.1 200 OK\r\ncontent-le", Resets),
    fault("another language", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Stays),
    fault("a head that is none", "HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\nok", Stays),
    fault("bytes without sense", "\u{1}\u{2}\u{3}\u{fffd}\r\n\r\n", Closes),
    Fault { gets: LATE, asked: [1, 1], ..fault("hangs", "", Stays) },
    Fault { gets: LATE, asked: [1, 1], ..fault("hangs in mid-head", "HTTP/1.1 200 OK\r\ncontent-le", Stays) },
    Fault {
        gets: LATE,
        asked: [1, 1],
        pace: Duration::from_millis(20),
        ..fault("a head that trickles", HEAD, Stays)
    },
    Fault {
        gets: Whole(200),
        asked: [1, 1],
        pace: Duration::from_millis(2),
        thought: Well,
        ..fault("a slow answer", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789", Stays)
    },
    half("half a body, then the end", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", Closes),
    half("half a body, then a reset", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", Resets),
    half(
        "half a chunk, then the end",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf",
        Closes,
    ),
    half(
        "chunks without a last",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        Resets,
    ),
    half(
        "a chunk that is none",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        Stays,
    ),
    answer("500", "HTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", 500, 1, Bad),
    answer("502", "HTTP/1.1 502 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", 502, 3, Bad),
    answer("503", "HTTP/1.1 503 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", 503, 3, Bad),
    answer("504", "HTTP/1.1 504 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", 504, 3, Bad),
    answer(
        "503 in order",
        "HTTP/1.1 503 Oh\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}",
        503,
        3,
        Well,
    ),
    answer("429", "HTTP/1.1 429 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", 429, 3, Well),
];

/// What is asked, with which headers and body, and which column that is.
type Asked = (&'static str, &'static [(&'static str, &'static str)], &'static str, usize);

const ASKED: [Asked; 3] =
    [("GET", &[], "", 0), ("POST", &[], "{}", 1), ("POST", &[("idempotency-key", "k")], "{}", 0)];

/// Reads a request to its end: what is left unread when a connection is closed makes a reset of it.
async fn read_whole(stream: &mut TcpStream) -> bool {
    let mut text = Vec::new();
    while !(text.ends_with(if text.starts_with(b"GET") { &b"\r\n\r\n"[..] } else { &b"{}"[..] })) {
        if !matches!(stream.read_buf(&mut text).await, Ok(1..)) {
            return false;
        }
    }
    true
}

async fn act(mut stream: TcpStream, fault: &Fault, asked: Arc<AtomicUsize>) {
    if !read_whole(&mut stream).await {
        return;
    }
    asked.fetch_add(1, Ordering::SeqCst);
    if fault.pace.is_zero() {
        let _ = stream.write_all(fault.says.as_bytes()).await;
    } else {
        for byte in fault.says.bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(fault.pace).await;
        }
    }
    match fault.end {
        Closes => {}
        Stays => {
            read_head(&mut stream).await;
        }
        Resets => {
            // What is not yet read when a reset comes may never be.
            tokio::time::sleep(Duration::from_millis(20)).await;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

/// A house before one endpoint that is set aside, and given a rest, after so many failures and no fewer.
async fn house(endpoint: settings::Address, fault: &Fault, failures: usize) -> House {
    let failures = u32::try_from(failures).unwrap();
    let breaker = Breaker {
        failure_rate_percent: 100,
        window_calls: failures,
        min_calls: failures,
        open_ms: 60_000,
        ..Breaker::default()
    };
    let timeout_ms = if matches!(fault.gets, Problem(504, _)) { SHORT } else { 20_000 };
    let routes = [Method::Get, Method::Post].map(|method| Route {
        retries: Some(settings::Retries { budget_percent: 100, ..RETRIES }),
        circuit_breaker: Some(breaker),
        timeout_ms,
        ..public(method, "/x")
    });
    let mut config = before(vec![endpoint], routes.into());
    let ejection = Ejection { failures, connect_failures: 0, base_ms: 60_000, max_ms: 60_000 };
    config.upstreams.get_mut("patient-service").unwrap().ejection = ejection;
    House::with(config).await
}

/// One cell of the table; what is not as it should be.
async fn tried(fault: &'static Fault, what: Asked) -> Vec<String> {
    let (method, headers, body, column) = what;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let backend = Backend::raw(move |stream, _| act(stream, fault, Arc::clone(&counted))).await;
    let wanted = fault.asked[column];
    let house = house(backend.address.clone(), fault, wanted).await;
    let answer = house.ask(method, "/x", headers, body).await;

    let mut wrong = Vec::new();
    let mut check = |what: &str, is: String, wanted: String| {
        if is != wanted {
            let key = if headers.is_empty() { "" } else { " with a key" };
            wrong.push(format!("{method}{key}, {}: {what} is {is}, not {wanted}", fault.name));
        }
    };
    let code = (!answer.body.is_empty() && answer.header("content-type") == Some("application/problem+json"))
        .then(|| {
            serde_json::from_slice::<serde_json::Value>(&answer.body).ok()?["code"]
                .as_str()
                .map(str::to_owned)
        })
        .flatten();
    let got = (answer.status, code.as_deref(), answer.whole);
    let expected = match fault.gets {
        Problem(status, code) => (status, Some(code), true),
        Whole(status) => (status, None, true),
        Half(status) => (status, None, false),
    };
    check("the answer", format!("{got:?}"), format!("{expected:?}"));
    check("how often it was asked", asked.load(Ordering::SeqCst).to_string(), wanted.to_string());

    let is_error = expected.0 >= 500 || !expected.2;
    eventually("it is counted", || house.gateway.report().metrics.requests == 1).await;
    check(
        "the count of errors",
        house.gateway.report().metrics.errors.to_string(),
        u64::from(is_error).to_string(),
    );
    let retries = metric(&house, "retries_total", None);
    check("the count of repetitions", format!("{retries:?}"), format!("{:?}", Some(wanted as u64 - 1)));
    let (ejected, opened) = match fault.thought {
        Well => (0, 0),
        Bad => (2, 2),
        Ejected => (2, 0),
    };
    for (name, wanted) in [("endpoint_state", ejected), ("breaker_state", opened)] {
        let state = metric(&house, name, Some(&backend.address));
        check(name, format!("{state:?}"), format!("{:?}", Some(wanted)));
    }
    check(
        "requests under way",
        format!("{:?}", metric(&house, "requests_in_flight", None)),
        "Some(0)".to_owned(),
    );
    wrong
}

#[tokio::test]
async fn whatever_a_service_does_with_its_bytes_the_client_is_told_and_no_write_is_made_twice() {
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        for asked in ASKED {
            wrong.extend(tried(fault, asked).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_request_that_reached_nobody_is_repeated_whatever_it_is() {
    let nobody = fault("refuses", "", Closes);
    for (method, headers, body, _) in ASKED {
        let address = Backend::nobody();
        let house = house(address.clone(), &nobody, 3).await;
        house.ask(method, "/x", headers, body).await.assert_problem(503, "unavailable");
        assert_eq!(metric(&house, "retries_total", None), Some(2), "{method}");
        assert_eq!(metric(&house, "endpoint_state", Some(&address)), Some(2), "{method}");
        assert_eq!(metric(&house, "breaker_state", Some(&address)), Some(2), "{method}");
    }
}
