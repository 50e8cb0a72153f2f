//! Keys that are in use are unwrapped again while whoever does it is there, well before they have to be: so that none is about to be given
//! up when he goes away.
//!
//! A patient's by its next use after half of the hold, behind that use's back; those without which nothing is done at all (the audit's
//! month, the day of what is sent and kept, the service's own) by a job, after a quarter. What comes back is not used: the same wrapping is the same key,
//! and a keeper that has begun to tell lies must not have anything sealed under one that nobody can unwrap later.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Datelike, TimeDelta};

use super::keepers::Found;
use super::keys::{KeyState, Live};
use super::{Vault, locked};
use crate::Error;

/// How often the job runs at least.
const EVERY_MAX: Duration = Duration::from_mins(1);

impl Vault {
    /// Has a key unwrapped again if that was done longer ago than this. Returns at once; what is to be awaited is returned.
    pub(super) fn renew(
        &self,
        (name, generation): (&str, u32),
        live: Live<'_>,
        after: TimeDelta,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let asked_at = self.clock.now();
        if self.held_for() == TimeDelta::zero()
            || !self.cache().begins_renewal(name, generation, after, asked_at)
        {
            return None;
        }
        let (keepers, cache, service) = (Arc::clone(&self.keepers), Arc::clone(&self.cache), self.service);
        let (name, wrapped, kek_id) = (name.to_owned(), live.wrapped.to_vec(), live.kek_id.to_owned());
        let check = live.check.map(<[u8]>::to_vec);
        Some(async move {
            let whose = super::Whose { service, subject: &name, generation };
            let key = Live { wrapped: &wrapped, kek_id: &kek_id, check: check.as_deref() };
            let unwrapped = keepers.unwrap(Found { whose, key }).await;
            locked(&cache).renewed(&name, generation, &wrapped, unwrapped.is_ok().then_some(asked_at));
        })
    }

    /// [`Db::keep_keys`](crate::Db::keep_keys).
    pub(crate) async fn keep_own(&self) -> Result<Duration, Error> {
        let hold = self.held_for();
        if hold == TimeDelta::zero() {
            return Ok(EVERY_MAX);
        }
        let today = self.clock.now().date_naive();
        let periods = [format!(":d:{today}"), format!(":m:{}", today.with_day(1).unwrap_or(today))];
        let own = self.cache().own(&periods);
        for (name, generation) in own {
            // What was wrapped anew meanwhile is taken up.
            self.key(&name, generation).await?;
            let row = self.keys.find(&name, generation).await?;
            let state = row.as_ref().map(|row| row.state(self.clock.now()));
            if let Some(KeyState::Live(live)) = state
                && let Some(renewal) = self.renew((&name, generation), live, hold / 4)
            {
                renewal.await;
            }
        }
        Ok((hold / 8).to_std().unwrap_or(EVERY_MAX).min(EVERY_MAX))
    }

    pub(super) fn held_for(&self) -> TimeDelta {
        self.cache().hold()
    }
}
