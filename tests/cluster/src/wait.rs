//! Waiting for what will be true.

use std::fmt::Display;
use std::time::{Duration, Instant};

pub(crate) const ASK_EVERY: Duration = Duration::from_millis(100);

/// What `look` gives as soon as it gives anything; and what it saw last, if it never does.
///
/// # Panics
/// If `within` passes first.
pub async fn eventually<T, E: Display>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(instead) => {
                assert!(begun.elapsed() < within, "{what} did not come about in {within:?}: {instead}");
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
