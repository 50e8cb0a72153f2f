use std::sync::Mutex as SyncMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use contracts::ambient::Random;
use contracts::auth::Jwk;
use contracts::client::Transport;
use settings::Address;

use super::*;
use crate::identity::generate_key;

/// What auth takes for an answer: long enough for others to come meanwhile.
const THINKS: Duration = Duration::from_millis(50);
const CALLERS: usize = 50;

/// An auth service as far as its keys go.
#[derive(Default)]
struct Auth {
    keys: SyncMutex<Vec<Jwk>>,
    is_down: SyncMutex<bool>,
    hangs: SyncMutex<bool>,
    asked: AtomicUsize,
}

impl Auth {
    fn publish(&self, kid: &str) {
        let (_, jwk) = generate_key(kid).unwrap();
        self.keys.lock().unwrap().push(jwk);
    }

    fn take_back(&self, kid: &str) {
        self.keys.lock().unwrap().retain(|jwk| jwk.kid != kid);
    }

    async fn answer(self: Arc<Self>) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // What it will say is settled when it is asked.
        let keys = JwkSet { keys: self.keys.lock().unwrap().clone() };
        tokio::time::sleep(THINKS).await;
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        if *self.is_down.lock().unwrap() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        ([(CONTENT_TYPE, "application/json")], serde_json::to_vec(&keys).unwrap()).into_response()
    }
}

async fn ring(auth: &Arc<Auth>) -> Arc<KeyRing> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address(format!("http://{}", listener.local_addr().unwrap()));
    let auth = Arc::clone(auth);
    let router = Router::new().fallback(move || Arc::clone(&auth).answer());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let transport = Transport::new(&address, None, Arc::new(String::new), Random::seeded(1)).unwrap();
    Arc::new(KeyRing::new(&JwkSet::default(), AuthClient::new(transport)))
}

/// What so many callers get who ask at once.
async fn at_once(ring: &Arc<KeyRing>, kid: impl Fn(usize) -> String) -> Vec<Result<bool, Unreadable>> {
    let callers = (0..CALLERS).map(|caller| {
        let (ring, kid) = (Arc::clone(ring), kid(caller));
        tokio::spawn(async move { ring.find(&kid).await.map(|signer| signer.is_some()) })
    });
    let mut answers = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        answers.push(caller.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_has_no_time_left_asks_for_the_others_all_the_same() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    let ring = ring(&auth).await;
    let hasty = contracts::deadline::within(Some(std::time::Instant::now()), ring.find("k1"));
    assert!(hasty.await.is_ok_and(|signer| signer.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_callers_of_a_new_process_all_find_the_key() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    let ring = ring(&auth).await;
    assert_eq!(at_once(&ring, |_| "k1".to_owned()).await, [Ok(true); CALLERS]);
    assert_eq!(auth.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_made_a_moment_ago_is_found_by_everybody() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    let ring = ring(&auth).await;
    assert_eq!(ring.find("k0").await.map(|signer| signer.is_some()), Ok(false));
    auth.publish("k2");
    assert_eq!(at_once(&ring, |_| "k2".to_owned()).await, [Ok(true); CALLERS]);
    // One that comes while auth is being asked is not told by an answer that is older than its question.
    let first = {
        let ring = Arc::clone(&ring);
        tokio::spawn(async move { ring.find("made-up").await.map(|signer| signer.is_some()) })
    };
    while auth.asked.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    auth.publish("k3");
    assert_eq!(at_once(&ring, |_| "k3".to_owned()).await, [Ok(true); CALLERS]);
    assert_eq!(first.await.unwrap(), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_keys_make_few_questions() {
    let auth = Arc::new(Auth::default());
    let ring = ring(&auth).await;
    assert_eq!(at_once(&ring, |caller| format!("made-up-{caller}")).await, [Ok(false); CALLERS]);
    // Those who came before the first question was put, and those who came after.
    assert!(auth.asked.load(Ordering::Relaxed) < CALLERS / 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_auth_is_down_nobody_is_told_that_there_is_no_such_key() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    *auth.is_down.lock().unwrap() = true;
    let ring = ring(&auth).await;
    assert_eq!(at_once(&ring, |_| "k1".to_owned()).await, [Err(Unreadable); CALLERS]);
    *auth.is_down.lock().unwrap() = false;
    let back = async {
        while ring.find("k1").await.is_err() {
            tokio::time::sleep(THINKS).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}

#[tokio::test]
async fn a_key_that_auth_has_taken_back_is_noticed_in_time_though_nobody_brings_a_new_one() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    auth.publish("k2");
    let ring = ring(&auth).await;
    let finds = async |kid: &str| ring.find(kid).await.map(|signer| signer.is_some());
    assert_eq!((finds("k1").await, ring.edition()), (Ok(true), 0));
    auth.take_back("k1");
    assert_eq!((finds("k1").await, ring.edition()), (Ok(true), 0), "as long as that is not known");
    let later = async || {
        tokio::time::pause();
        tokio::time::advance(GOOD_FOR).await;
        tokio::time::resume();
    };
    later().await;
    *auth.is_down.lock().unwrap() = true;
    assert_eq!(finds("k1").await, Ok(true), "what was known stays while auth is down");
    *auth.is_down.lock().unwrap() = false;
    later().await;
    assert_eq!((finds("k2").await, ring.edition()), (Ok(true), 1));
    assert_eq!(finds("k1").await, Ok(false));
}

#[tokio::test]
async fn an_auth_service_that_hangs_keeps_nobody_whose_key_is_known() {
    let auth = Arc::new(Auth::default());
    auth.publish("k1");
    let ring = ring(&auth).await;
    let finds = async || ring.find("k1").await.map(|signer| signer.is_some());
    assert_eq!(finds().await, Ok(true));
    tokio::time::pause();
    tokio::time::advance(GOOD_FOR).await;
    tokio::time::resume();
    *auth.hangs.lock().unwrap() = true;
    // One who has less time than the question takes.
    let _ = tokio::time::timeout(THINKS, finds()).await;
    assert_eq!((finds().await, finds().await), (Ok(true), Ok(true)));
    assert_eq!(
        auth.asked.load(Ordering::Relaxed),
        2,
        "it is asked once more, and then not again for a while"
    );
}
