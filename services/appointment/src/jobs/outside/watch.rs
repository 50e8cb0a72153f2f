//! Channels through which a calendar tells that it has changed, so that nobody waits for the next look: asked for, and renewed before they end. It is
//! looked at all the same: what is told may get lost.

use contracts::id::WatchId;

use super::{Fault, Stop, Worker};
use crate::domain::outside::is_watch_due;
use crate::outside::Channel;
use crate::store::outside_watch::{Watch, watch_note, watch_of, watch_token};

const PATH: &str = "/api/appointments/calendars/google/";

impl Worker {
    /// Sees to it that there is a channel, if there can be one. Without one all else goes on, and it is asked for again in an hour.
    pub(super) async fn watch(&self) -> Result<(), Stop> {
        let Some(public_url) = self.public_url.as_deref().filter(|_| self.outside.can_tell()) else {
            return Ok(());
        };
        let mut tx = self.db().read().await?;
        let watch = watch_of(&mut tx, self.name()).await?;
        drop(tx);
        if !is_watch_due(watch.watch_until, watch.watch_asked_at, self.api.now()) {
            return Ok(());
        }
        let id = WatchId::generate(self.db().random());
        let token = watch_token(self.db(), &id)?;
        let channel = self.outside.watch(id.as_str(), &token, &format!("{public_url}{PATH}{id}")).await;
        let channel = self.none_if_refused(channel);
        watch_note(self.db(), &self.lease, channel.as_ref().map(|channel| (&id, channel))).await?;
        if channel.is_some() {
            self.end(&watch).await;
        }
        Ok(())
    }

    fn none_if_refused(&self, channel: Result<Option<Channel>, Fault>) -> Option<Channel> {
        channel.unwrap_or_else(|error| {
            tracing::warn!(calendar = self.name(), %error, "the calendar does not tell when it changes; it is asked");
            None
        })
    }

    /// The channel of before would tell the same twice until it ends by itself.
    async fn end(&self, watch: &Watch) {
        let Some((id, resource)) = watch.watch_id.as_ref().zip(watch.watch_resource.as_ref()) else { return };
        if let Err(error) = self.outside.unwatch(id, resource).await {
            tracing::debug!(calendar = self.name(), %error, "a channel was not ended; it ends by itself");
        }
    }
}
