//! A request with an `Idempotency-Key` whose client does not wait: the key is free as soon as nothing can come of it, and what came of it is kept.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use contracts::endpoint::{Access, Encoding, Endpoint, Operation, schema_of};
use http_kit::token::Claims;
use http_kit::{Answer, Call, serve};
use reqwest::{Client, RequestBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Method;
use testkit::TestDb;

use super::deadline::{Broken, count, notes, write};
use super::*;

/// Far below the minute after which a claim may be taken over; and the clock of these tests stands still.
const SOON: Duration = Duration::from_secs(5);

/// What is asked of the service.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Note {
    /// Where the first request with this is left hanging.
    hangs: String,
    /// One for each of the tests.
    number: u64,
}

struct Write;

impl Endpoint for Write {
    const OPERATION: &'static Operation = &Operation {
        id: "write",
        service: Some(ServiceName::PatientService),
        tag: "Notes",
        summary: "Writes a note.",
        method: Method::Post,
        path: "/api/notes",
        access: Access::SignedIn,
        status: 201,
        audited: false,
        query: None,
        body: Some(schema_of::<Note>),
        encoding: Encoding::Json,
        reply: schema_of::<String>,
    };
    type Path = ();
    type Query = ();
    type Body = Note;
    type Reply = String;
}

/// One that no other note of this process has.
fn new_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// Where this request is left hanging: only the first of its kind is.
fn hangs(note: &Note) -> &str {
    static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let is_first = SEEN.lock().unwrap().get_or_insert_default().insert(note.number);
    if is_first { &note.hangs } else { "nowhere" }
}

async fn write_note(db: db::Db, call: Call<Write>) -> Result<Answer<Write>, Broken> {
    let name = format!("note-{}", new_number());
    let tx = write(&db, name.clone()).await?;
    let answer = Answer::new(name);
    match hangs(&call.body) {
        "before the commit" => std::future::pending::<()>().await,
        "in the commit" => {
            let mut commit = pin!(call.receipt.commit(tx, &answer));
            // Polled until it has begun, and not heard to its end.
            std::future::poll_fn(|cx| {
                if !contracts::deadline::is_held() {
                    let _ = commit.as_mut().poll(cx);
                }
                Poll::<()>::Pending
            })
            .await;
        }
        "after the commit" => {
            call.receipt.commit(tx, &answer).await?;
            std::future::pending::<()>().await;
        }
        _ => call.receipt.commit(tx, &answer).await?,
    }
    Ok(answer)
}

fn notebook() -> Service {
    Service {
        name: ServiceName::PatientService,
        migrations: notes(),
        build: |kit| {
            Box::pin(async move {
                let router =
                    Routes::new(&kit, kit.db.clone(), &[Write::OPERATION]).on(write_note).finish()?;
                Ok(App { router, jobs: Vec::new() })
            })
        },
    }
}

struct Notebook {
    running: serve::Running,
    client: Client,
    token: String,
    db: db::Db,
}

impl Notebook {
    async fn of(test: &TestDb) -> Self {
        let address = socket(test);
        let (key, jwk) = generate_key("auth-1").unwrap();
        let ring = KeyRing::fixed(&JwkSet { keys: vec![jwk] }, &JwkSet::default());
        let clock = test.clock().clone();
        let verifier = Verifier::new("https://clinic.test", "healthcare-stack", ring, Arc::default(), clock);
        let world = World { verifier: Arc::new(verifier), ..world(test) };
        let settings = settings(test.settings().clone(), address.clone());
        let running = serve::start(notebook(), settings, world).await.unwrap();
        let client =
            Client::builder().unix_socket(address.unix_path().unwrap().to_path_buf()).build().unwrap();
        let token = token(test, &jsonwebtoken::EncodingKey::from_ed_der(&key));
        Self { running, client, token, db: test.db().clone() }
    }

    /// Asks, and waits no longer than that; status and body.
    async fn post(&self, key: &str, note: &Note, patience: Duration) -> Option<(u16, String)> {
        self.send(self.client.post("http://service/api/notes").timeout(patience), key, note).await
    }

    async fn send(&self, request: RequestBuilder, key: &str, note: &Note) -> Option<(u16, String)> {
        let request = request.bearer_auth(&self.token).header("idempotency-key", key);
        let request = request.header("content-type", "application/json");
        let answer = request.body(serde_json::to_vec(note).unwrap()).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Asks again until it is told more than that the first is under way.
    async fn post_again(&self, key: &str, note: &Note) -> (u16, String) {
        let since = Instant::now();
        loop {
            let answer = self.post(key, note, SOON).await.unwrap();
            if answer.0 != 409 {
                return answer;
            }
            assert!(since.elapsed() < SOON, "the key stays taken: {}", note.hangs);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn token(test: &TestDb, key: &jsonwebtoken::EncodingKey) -> String {
    let now = test.clock().now().timestamp();
    let claims = Claims {
        iss: "https://clinic.test".to_owned(),
        aud: "healthcare-stack".to_owned(),
        sub: "jane".to_owned(),
        sid: None,
        jti: "1".to_owned(),
        iat: now,
        iat_ms: Some(now * 1_000),
        exp: now + 600,
        name: None,
        roles: vec!["admin".to_owned()],
        scope: String::new(),
        grants: Vec::new(),
        only_enrols: false,
        patient_id: None,
        provider_id: None,
    };
    claims.sign(key, "auth-1")
}

testkit::on_both_engines! {
    migrations = crate::deadline::notes();

    async fn the_key_of_a_client_that_is_gone_is_free_unless_the_write_has_happened(test: TestDb) {
        let service = Notebook::of(&test).await;
        for (notes, hangs) in (1..).zip(["before the commit", "in the commit", "after the commit"]) {
            let note = Note { hangs: hangs.to_owned(), number: new_number() };
            assert_eq!(service.post(hangs, &note, Duration::from_millis(300)).await, None, "it hangs {hangs}");
            let (status, name) = service.post_again(hangs, &note).await;
            assert_eq!(status, 201, "{hangs}");
            assert_eq!(count(&service.db).await, notes, "it has happened once: {hangs}");
            assert_eq!(service.post(hangs, &note, SOON).await, Some((201, name)), "{hangs}");
        }
        service.running.stop().await;
    }

    async fn the_key_of_a_request_whose_time_is_over_is_free_with_its_answer(test: TestDb) {
        let service = Notebook::of(&test).await;
        let note = Note { hangs: "before the commit".to_owned(), number: new_number() };
        let hurried = service.client.post("http://service/api/notes");
        let hurried = hurried.header(contracts::deadline::HEADER, "150");
        assert_eq!(service.send(hurried, "key", &note).await.unwrap().0, 504);
        assert_eq!(service.post("key", &note, SOON).await.unwrap().0, 201);
        assert_eq!(count(&service.db).await, 1);
        service.running.stop().await;
    }

    async fn a_write_happens_once_wherever_in_it_its_client_goes(test: TestDb) {
        let service = Notebook::of(&test).await;
        let note = || Note { hangs: "nowhere".to_owned(), number: new_number() };
        let mut takes = SOON;
        for number in -2..=0_i64 {
            let since = Instant::now();
            service.post(&format!("key-{number}"), &note(), SOON).await.unwrap();
            takes = takes.min(since.elapsed());
        }
        let mut gone = 0;
        for number in 1..=60_i64 {
            let (key, note) = (format!("key-{number}"), note());
            let patience = takes * u32::try_from(number % 20).unwrap() / 20;
            let first = service.post(&key, &note, patience).await;
            gone += i32::from(first.is_none());
            let again = service.post_again(&key, &note).await;
            assert!(again.0 == 201 && first.is_none_or(|first| first == again), "{again:?}");
            assert_eq!(count(&service.db).await, 3 + number, "after {patience:?}");
        }
        assert!(gone > 5, "most of these clients have waited: {gone}");
        service.running.stop().await;
    }
}
