//! Handlers and the time that whoever asks gives them.

use std::time::{Duration, Instant};

use contracts::endpoint::{Access, Encoding, Endpoint, Operation, schema_of};
use contracts::problem::{Problem, ProblemCode};
use http_kit::{Answer, Call, Failure, serve};
use reqwest::{Client, Response};
use settings::Method;
use testkit::TestDb;

use super::*;

/// Longer than any of the times given below, by far.
const TAKES: Duration = Duration::from_millis(800);

macro_rules! operation {
    ($name:ident, $path:literal) => {
        struct $name;

        impl Endpoint for $name {
            const OPERATION: &'static Operation = &Operation {
                id: stringify!($name),
                service: Some(ServiceName::PatientService),
                tag: "Notes",
                summary: "Writes a note.",
                method: Method::Post,
                path: $path,
                access: Access::Public,
                status: 201,
                audited: false,
                query: None,
                body: None,
                encoding: Encoding::Json,
                reply: schema_of::<bool>,
                media_type: "application/json",
            };
            type Path = ();
            type Query = ();
            type Body = ();
            type Reply = bool;
        }
    };
}

operation!(Before, "/api/before");
operation!(During, "/api/during");
operation!(After, "/api/after");

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Broken(#[from] db::Error);

impl Failure for Broken {
    fn problem(&self) -> Problem {
        Problem::new(ProblemCode::Internal)
    }
}

pub(crate) async fn write(db: &db::Db, id: impl Into<String>) -> Result<db::Tx, Broken> {
    let id = id.into();
    let mut tx = db.begin().await?;
    db::on!(tx, |conn| sqlx::query("insert into note (id) values ($1)")
        .bind(&id)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    Ok(tx)
}

/// Takes its time before it commits.
async fn before(db: db::Db, _: Call<Before>) -> Result<Answer<Before>, Broken> {
    let tx = write(&db, "before").await?;
    tokio::time::sleep(TAKES).await;
    tx.commit().await?;
    Ok(Answer::new(true))
}

/// Commits, and takes its time then.
async fn after(db: db::Db, _: Call<After>) -> Result<Answer<After>, Broken> {
    write(&db, "after").await?.commit().await?;
    tokio::time::sleep(TAKES).await;
    Ok(Answer::new(true))
}

/// Answers whether those that it would ask would be told how long they have.
async fn during(_: db::Db, _: Call<During>) -> Result<Answer<During>, Broken> {
    Ok(Answer::new(contracts::deadline::current().is_some_and(|until| until > Instant::now())))
}

const DECLARED: &[&Operation] = &[Before::OPERATION, During::OPERATION, After::OPERATION];

fn notebook() -> Service {
    Service {
        name: ServiceName::PatientService,
        migrations: notes(),
        build: |kit| {
            Box::pin(async move {
                let routes = Routes::new(&kit, kit.db.clone(), DECLARED);
                let router = routes.on(before).on(during).on(after).finish()?;
                Ok(App { router, jobs: Vec::new() })
            })
        },
    }
}

pub(crate) fn notes() -> db::Migrations {
    static NOTES: std::sync::OnceLock<db::Migrations> = std::sync::OnceLock::new();
    *NOTES.get_or_init(|| migrations(&[(1, "create table note (id text primary key)")]))
}

pub(crate) async fn count(db: &db::Db) -> i64 {
    let mut tx = db.read().await.unwrap();
    let (count,): (i64,) =
        db::on!(tx, |conn| sqlx::query_as("select count(*) from note").fetch_one(conn).await).unwrap();
    count
}

struct Notebook {
    running: serve::Running,
    client: Client,
    db: db::Db,
}

impl Notebook {
    async fn of(test: &TestDb) -> Self {
        let address = socket(test);
        let settings = settings(test.settings().clone(), address.clone());
        let running = serve::start(notebook(), settings, world(test)).await.unwrap();
        let path = address.unix_path().unwrap().to_path_buf();
        Self { running, client: Client::builder().unix_socket(path).build().unwrap(), db: test.db().clone() }
    }

    async fn post(&self, path: &str, millis: Option<&str>) -> Response {
        let mut request = self.client.post(format!("http://service{path}"));
        if let Some(millis) = millis {
            request = request.header(contracts::deadline::HEADER, millis);
        }
        request.send().await.unwrap()
    }

    async fn stop(self) {
        self.running.stop().await;
    }
}

testkit::on_both_engines! {
    migrations = crate::deadline::notes();

    async fn past_its_deadline_a_handler_stops_and_nothing_was_written(test: TestDb) {
        let service = Notebook::of(&test).await;
        let since = Instant::now();
        let answer = service.post("/api/before", Some("150")).await;
        assert_eq!(answer.status(), 504);
        assert!(since.elapsed() < TAKES, "{:?}", since.elapsed());
        let problem: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "deadline-exceeded", "{problem}");
        assert_eq!(count(&service.db).await, 0);
        // With time enough, and where nobody says anything, it is done.
        assert_eq!(service.post("/api/before", Some("60000")).await.status(), 201);
        assert_eq!(count(&service.db).await, 1);
        service.stop().await;
    }

    async fn over_http2_it_is_the_same(test: TestDb) {
        let service = Notebook::of(&test).await;
        let mut client = crate::http2::connect(&socket(&test)).await;
        let mut post = async |path: &str, millis: &'static str| {
            let mut request = crate::http2::request("POST", path);
            request.headers_mut().insert(contracts::deadline::HEADER, millis.parse().unwrap());
            client.send_request(request).await.unwrap().status().as_u16()
        };
        assert_eq!((post("/api/before", "150").await, count(&service.db).await), (504, 0));
        assert_eq!((post("/api/after", "150").await, count(&service.db).await), (201, 1));
        service.stop().await;
    }

    async fn a_write_that_has_happened_is_told_as_one_although_it_is_late(test: TestDb) {
        let service = Notebook::of(&test).await;
        assert_eq!(service.post("/api/after", Some("150")).await.status(), 201);
        assert_eq!(count(&service.db).await, 1);
        service.stop().await;
    }

    async fn with_no_time_left_nothing_is_begun(test: TestDb) {
        let service = Notebook::of(&test).await;
        assert_eq!(service.post("/api/after", Some("0")).await.status(), 504);
        assert_eq!(count(&service.db).await, 0);
        service.stop().await;
    }

    async fn whoever_it_asks_can_be_told_how_long_there_is(test: TestDb) {
        let service = Notebook::of(&test).await;
        for (told, known) in [(Some("60000"), "true"), (None, "false"), (Some("soon"), "false")] {
            assert_eq!(service.post("/api/during", told).await.text().await.unwrap(), known, "{told:?}");
        }
        service.stop().await;
    }
}
