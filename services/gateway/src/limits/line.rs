//! [`Line`]: a thread's connection to the store of the limits, and [`keep`], which sees to it that there is one.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, ServerErrorKind};
use resilience::limit::Limit;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::store::{Answer, Question, Store, Stores, micros};

const SCRIPT: &str = include_str!("script.lua");
/// So many failures in a row, and the connection is given up.
const FAILURES_MAX: u32 = 3;
/// Until everything is said that a connection begins with.
const CONNECT_MAX: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that lasted so long was a good one.
const LASTED: Duration = Duration::from_secs(5);

/// A connection. Requests on it do not wait for each other: what is asked meanwhile goes out together.
#[derive(Debug)]
pub(crate) struct Line {
    connection: MultiplexedConnection,
    /// What the server calls the script.
    script: String,
    failures: AtomicU32,
    over: Notify,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("it does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("it takes longer than {0:?} to answer")]
    Slow(Duration),
    #[error("the secret {0} cannot be read")]
    Secret(String),
}

/// What moves a connection's bytes for as long as it is polled.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Line {
    /// Counts a request against all of these, or none.
    pub(super) async fn count(&self, questions: &[Question]) -> Result<Answer, RedisError> {
        let mut connection = self.connection.clone();
        let asked: Result<Vec<i64>, _> =
            command("EVALSHA", &self.script, questions).query_async(&mut connection).await;
        let answer = match asked {
            // Its memory was emptied (`SCRIPT FLUSH`, another server behind the same name): it is told again.
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                command("EVAL", SCRIPT, questions).query_async(&mut connection).await?
            }
            asked => asked?,
        };
        let (allowed, resets) =
            answer.split_first().map_or((false, &[][..]), |(first, rest)| (*first == 1, rest));
        let resets = resets.iter().map(|reset| Duration::from_micros(u64::try_from(*reset).unwrap_or(0)));
        Ok(Answer { allowed, resets: resets.collect() })
    }

    pub(super) fn is_well(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Notes a failure. Answers whether there were too many.
    pub(super) fn is_failing(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX
    }

    /// Whoever keeps it begins anew.
    pub(super) fn end(&self) {
        self.over.notify_one();
    }
}

fn command(name: &str, script: &str, questions: &[Question]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(questions.len());
    for question in questions {
        command.arg(&question.key);
    }
    for question in questions {
        command.arg(micros(question.limit)).arg(question.limit.burst());
    }
    command
}

/// Keeps this thread's connection to whichever store is in force, for as long as there is a gateway.
pub(crate) async fn keep(mut stores: Stores, place: usize) {
    loop {
        let store = stores.borrow_and_update().clone();
        let hold = async {
            match &store {
                Some(store) => hold(store, place).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = hold => match never {},
            changed = stores.changed() => if changed.is_err() { return },
        }
    }
}

/// Connects, and again when the connection was lost.
async fn hold(store: &Arc<Store>, place: usize) -> Infallible {
    let mut pause = PAUSE_MIN;
    loop {
        let begun = Instant::now();
        match connect(store).await {
            Ok((line, driver)) => {
                if store.is_news(false) {
                    tracing::info!("the store of the limits answers again");
                }
                serve(store, place, Arc::new(line), driver).await;
                away(store, &"the connection is lost");
            }
            Err(fault) => away(store, &fault),
        }
        if begun.elapsed() > LASTED {
            pause = PAUSE_MIN;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Said once: it may last.
fn away(store: &Store, why: &dyn std::fmt::Display) {
    if store.is_news(true) {
        tracing::warn!(%why, "the store of the limits is away: each gateway counts by itself");
    }
}

/// Offers a connection to this thread's requests until it ends.
async fn serve(store: &Store, place: usize, line: Arc<Line>, driver: Driver) {
    struct Offer<'a>(&'a Store, usize, Arc<Line>);
    impl Drop for Offer<'_> {
        fn drop(&mut self) {
            self.0.meters.connections.dec();
            let Some(place) = self.0.place(self.1) else { return };
            if place.load().as_ref().is_some_and(|line| Arc::ptr_eq(line, &self.2)) {
                place.store(None);
            }
        }
    }
    store.meters.connections.inc();
    if let Some(place) = store.place(place) {
        place.store(Some(Arc::clone(&line)));
    }
    let offer = Offer(store, place, line);
    tokio::select! { () = driver => {}, () = offer.2.over.notified() => {} }
}

/// A connection that has shown that it counts: signed in, the script told, and one request counted in time.
async fn connect(store: &Store) -> Result<(Line, Driver), Fault> {
    timeout(CONNECT_MAX, async {
        let stream = stream(store).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&sign_in(store)?, stream, config).await?;
        let mut driver: Driver = Box::pin(driver);
        let begin = async {
            let script = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut connection).await?;
            let line = Line { connection, script, failures: AtomicU32::new(0), over: Notify::new() };
            // A limit that is always kept, in a bucket that is gone within a millisecond. It is written, so that a store that takes no
            // writes is none.
            let limit = Limit::every(Duration::from_micros(1), 1_000);
            let question = Question { key: format!("{}:probe", store.prefix()), limit };
            let asked = Instant::now();
            line.count(&[question]).await?;
            if asked.elapsed() > store.deadline() { Err(Fault::Slow(store.deadline())) } else { Ok(line) }
        };
        let line = tokio::select! {
            line = begin => line?,
            () = &mut driver => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        };
        Ok((line, driver))
    })
    .await?
}

async fn stream(store: &Store) -> Result<Box<dyn Stream>, Fault> {
    let settings = &store.settings;
    let tcp = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(with) = &settings.tls else { return Ok(Box::new(tcp)) };
    let ca = match &with.ca {
        Some(secret) => Some(store.file(secret).ok_or_else(|| Fault::Secret(secret.secret.clone()))?),
        None => None,
    };
    let name = tls::ServerName::try_from(settings.host.clone()).map_err(io::Error::other)?;
    Ok(Box::new(tls::connect(tls::outside(ca.as_deref())?, name, tcp).await?))
}

/// Whom to sign in as; the password as it is now.
fn sign_in(store: &Store) -> Result<RedisConnectionInfo, Fault> {
    let settings = &store.settings;
    let mut info =
        RedisConnectionInfo::default().set_db(i64::from(settings.database)).set_skip_set_lib_name();
    if let Some(username) = &settings.username {
        info = info.set_username(username);
    }
    if let Some(secret) = &settings.password {
        let fault = || Fault::Secret(format!("{}/{}", secret.secret, secret.key));
        let file = store.file(secret).ok_or_else(fault)?;
        let password = std::fs::read_to_string(file).map_err(|_| fault())?;
        info = info.set_password(password.trim_end_matches(['\r', '\n']));
    }
    Ok(info)
}
