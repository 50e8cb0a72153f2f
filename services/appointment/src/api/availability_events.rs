//! `GET /api/providers/{providerId}/availability/events`

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::appointments::AvailabilityEvents;
use contracts::availability::{AvailabilityChange, EventStream, WATCH_SECONDS_MAX};
use contracts::id::ProviderId;
use contracts::problem::{Problem, ProblemCode};
use db::Db;
use http_kit::{Answer, Call, Phase, Teller, events};
use tokio::sync::watch;

use super::Api;
use crate::error::Error;
use crate::store::state::changes;

/// So many are told at once by one process, and so many of them to one user.
const WATCHERS_MAX: usize = 256;
const WATCHERS_PER_USER_MAX: usize = 8;
/// Looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Something is said so often at least: what stands between cuts off who says nothing for a minute.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// The events' name.
const CHANGED: &str = "availability";

/// Who is told at present, by user.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Mutex<HashMap<String, usize>>>);

/// A place among them, given back when it is dropped.
struct Seat {
    watchers: Watchers,
    user: String,
}

impl Watchers {
    fn seat(&self, user: &str) -> Result<Seat, Problem> {
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watchers.get(user).is_some_and(|own| *own >= WATCHERS_PER_USER_MAX) {
            let detail = format!("A user may follow {WATCHERS_PER_USER_MAX} at once.");
            return Err(Problem {
                retry_after: Some(15),
                ..Problem::new(ProblemCode::RateLimited).detail(detail)
            });
        }
        if watchers.values().sum::<usize>() >= WATCHERS_MAX {
            return Err(Problem { retry_after: Some(15), ..Problem::new(ProblemCode::Unavailable) });
        }
        *watchers.entry(user.to_owned()).or_default() += 1;
        Ok(Seat { watchers: self.clone(), user: user.to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut watchers = self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = watchers.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                watchers.remove(&self.user);
            }
        }
    }
}

/// Tells, as it happens, that something has changed in when a provider can be booked. Who comes back says what they have heard, and is told at once
/// if there is more.
pub async fn stream(api: Api, call: Call<AvailabilityEvents>) -> Result<Answer<AvailabilityEvents>, Error> {
    let (provider,) = &call.path;
    let seconds = call.query.seconds.unwrap_or(WATCH_SECONDS_MAX);
    if seconds > WATCH_SECONDS_MAX {
        let message = format!("must be between 0 and {WATCH_SECONDS_MAX}");
        return Err(Problem::new(ProblemCode::InvalidQuery).fault("seconds", message).into());
    }
    if api.peers.schedule(provider).await?.is_none() {
        return Err(Error::NotFound);
    }
    let seat = api.watchers.seat(&call.caller.user)?;
    let (teller, heard) = events();
    let watch = Watch {
        db: api.db.clone(),
        phase: api.phase.clone(),
        provider: provider.clone(),
        // What is no number of ours was heard elsewhere.
        heard: call.last_event_id.as_deref().and_then(|id| id.parse().ok()),
        good_until: call.caller.expires_at,
        ends: Instant::now() + Duration::from_secs(u64::from(seconds)),
    };
    tokio::spawn(async move {
        let _seat = seat;
        watch.tell(&teller).await;
    });
    Ok(Answer::new(EventStream).streaming(heard))
}

/// One who follows a provider.
struct Watch {
    db: Db,
    phase: watch::Receiver<Phase>,
    provider: ProviderId,
    /// The last change that they have heard of.
    heard: Option<i64>,
    /// Until when their token is good, seconds since 1970.
    good_until: i64,
    ends: Instant,
}

impl Watch {
    /// Tells until nobody hears any more, the token or the time asked for is over, the database does not answer, or the process is to end. Whoever
    /// is still there comes back.
    async fn tell(mut self, teller: &Teller) {
        let mut said = Instant::now();
        if teller.begin().await.is_err() {
            return;
        }
        loop {
            let Ok(last) = self.last().await else { return };
            let outcome = if self.heard != Some(last) {
                (self.heard, said) = (Some(last), Instant::now());
                let change = AvailabilityChange { provider_id: self.provider.clone(), change: last };
                teller.tell(last, CHANGED, &change).await
            } else if said.elapsed() >= BEAT_EVERY {
                said = Instant::now();
                teller.beat().await
            } else {
                Ok(())
            };
            let is_over = self.db.clock().now().timestamp() >= self.good_until || Instant::now() >= self.ends;
            if outcome.is_err() || is_over || *self.phase.borrow() >= Phase::Draining {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = teller.unheard() => return,
            }
        }
    }

    async fn last(&self) -> Result<i64, db::Error> {
        let mut tx = self.db.read().await?;
        changes(&mut tx, &self.provider).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_of_each_user_and_of_all() {
        let watchers = Watchers::default();
        let code = |user: &str| watchers.seat(user).map_err(|problem| problem.code).map(drop);
        let own: Vec<_> = (0..WATCHERS_PER_USER_MAX).map(|_| watchers.seat("one").unwrap()).collect();
        assert_eq!(code("one"), Err(ProblemCode::RateLimited));
        let users = 1..WATCHERS_MAX / WATCHERS_PER_USER_MAX;
        let others: Vec<_> = users
            .flat_map(|user| (0..WATCHERS_PER_USER_MAX).map(move |_| format!("usr_{user}")))
            .map(|user| watchers.seat(&user).unwrap())
            .collect();
        assert_eq!(code("another"), Err(ProblemCode::Unavailable));
        drop(own);
        assert_eq!((code("another"), code("one")), (Ok(()), Ok(())));
        drop(others);
        assert!(watchers.0.lock().unwrap().is_empty());
    }
}
