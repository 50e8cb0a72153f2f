//! [`Crowd`]: who is connected. There is room for so many; when it is full those who have rested longest give way to those who come, and nobody
//! may take more than half of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::client::{self, Trusted};

/// Whoever waits for a place asks for it so often.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// All connections of a gateway.
#[derive(Debug)]
pub(crate) struct Crowd {
    places: Arc<Semaphore>,
    places_max: u32,
    /// One who rests is asked to give way.
    way: Notify,
    /// How many places each address has, by the limiter's key.
    of_each: Mutex<HashMap<u128, u32>>,
}

/// Somebody's place; free when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    key: u128,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    pub(crate) fn new(places_max: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX))),
            places_max,
            way: Notify::new(),
            of_each: Mutex::default(),
        }
    }

    /// A place for whoever comes next, when there is one; `None` never comes, but for the end of the program.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            // Again and again: who is asked may be busy by then, and of several who ask at once one is heard.
            self.way.notify_one();
            if let Ok(permit) = timeout(ASK_EVERY, Arc::clone(&self.places).acquire_owned()).await {
                return permit.ok();
            }
        }
    }

    /// Gives the place to somebody; `None` if they have too many. Proxies that are believed speak for others, and may have any number.
    pub(crate) fn admit(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        address: IpAddr,
        trusted: &Trusted,
    ) -> Option<Place> {
        let key = client::key(address);
        let mut of_each = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = of_each.entry(key).or_insert(0);
        if *mine >= self.places_max.div_ceil(2) && !trusted.has(address) {
            return None;
        }
        *mine += 1;
        Some(Place { crowd: Arc::clone(self), key, _permit: permit })
    }

    /// Returns when one who rests should give way: the one who has waited here longest.
    pub(crate) async fn pressed(&self) {
        self.way.notified().await;
    }

    /// Returns when nobody is connected any more.
    pub(crate) async fn gone(&self) {
        let _ = self.places.acquire_many(self.places_max).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_each = self.crowd.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = of_each.get_mut(&self.key) {
            *mine -= 1;
            if *mine == 0 {
                of_each.remove(&self.key);
            }
        }
    }
}
