//! [`retrying`]: a transaction that lost a race is run again.

use std::time::Duration;

use crate::{Db, Error, Tx};

/// An error that may be a lost race. A service's own error says so in one line:
///
/// ```text
/// impl db::Retry for Error {
///     fn is_retryable(&self) -> bool {
///         matches!(self, Error::Db(error) if error.is_retryable())
///     }
/// }
/// ```
pub trait Retry: From<Error> {
    /// Whether the whole transaction may be run again.
    fn is_retryable(&self) -> bool;
}

impl Retry for Error {
    fn is_retryable(&self) -> bool {
        Error::is_retryable(self)
    }
}

const ATTEMPTS_MAX: u32 = 6;
const BACKOFF_MS_MAX: u64 = 200;

/// Begins a transaction and gives it to `work`, which commits it; and again from the start, at most six times, when a
/// deadlock or a serialization failure made it lose. Waits up to 10, 20, 40 … 200 ms between, at random so that the same
/// two do not meet again.
///
/// `work` may run more than once: nothing in it but the transaction may have an effect. It takes the transaction by value
/// (an `AsyncFnMut(&mut Tx)` would make a handler's future not `Send` as soon as it borrows anything).
///
/// ```text
/// let id = db::retrying(&db, async |mut tx| {
///     tx.lock(&[&provider, &patient]).await?;
///     appointment_insert(&mut tx, &appointment).await?;
///     tx.commit().await?;
///     Ok::<_, Error>(appointment.id)
/// }).await?;
/// ```
pub async fn retrying<T, E, F, Fut>(db: &Db, mut work: F) -> Result<T, E>
where
    E: Retry,
    F: FnMut(Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        let result = match db.begin().await {
            Ok(tx) => work(tx).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {
                let bound_ms = (10 << (attempt - 1)).min(BACKOFF_MS_MAX);
                tokio::time::sleep(Duration::from_millis(db.random().below(bound_ms) + 1)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}
