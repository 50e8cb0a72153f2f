//! What was changed here is written there.

use chrono::TimeDelta;

use super::turn::Report;
use super::{DateTime, Fault, Stop, Utc, Worker, ahead};
use crate::domain::span::Span;
use crate::store::outside::lease_hold;
use crate::store::outside_event::{
    Due, OutsideEvent, event_forget, event_keep, events_behind, events_missing,
};

/// Events that a server stumbles over before it is left alone.
const TROUBLES_MAX: u32 = 3;

impl Worker {
    /// Writes what is there not as it is here: what belongs there is put, what does not is deleted.
    pub(super) async fn push(&self, report: &mut Report) -> Result<(), Stop> {
        for is_there in [true, false] {
            let mut after = String::new();
            loop {
                let due = self.due(is_there, &after).await?;
                let Some(last) = due.last() else { break };
                last.appointment_id.clone_into(&mut after);
                for due in &due {
                    self.write(due, report).await?;
                }
            }
        }
        // The others were written; the calendar waits for those.
        report.trouble.take().map_or(Ok(()), |fault| Err(fault.into()))
    }

    async fn due(&self, is_there: bool, after: &str) -> Result<Vec<Due>, Stop> {
        let (db, provider) = (self.db(), self.settings.provider_id.as_deref());
        let mut tx = db.read().await?;
        if is_there {
            return Ok(events_behind(&mut tx, db, self.name(), provider, after).await?);
        }
        Ok(events_missing(&mut tx, db, self.name(), provider, (to_come(self.api.now()), after)).await?)
    }

    async fn write(&self, due: &Due, report: &mut Report) -> Result<(), Stop> {
        let outcome = match (&due.known, due.belongs) {
            (Some(known), false) => self.delete(known).await,
            (_, true) => self.put(due).await,
            (None, false) => Ok(()),
        };
        match outcome {
            Err(Stop::Outside(Fault::Changed)) => report.is_overtaken = true,
            Err(Stop::Outside(Fault::Refused(status))) => {
                let (events, _) = report.refused.unwrap_or_default();
                report.refused = Some((events + 1, status));
            }
            // One event that a server stumbles over is in nobody's way; a server that is down is not asked for each.
            Err(Stop::Outside(fault @ Fault::NotNow(..))) if report.troubles < TROUBLES_MAX => {
                report.troubles += 1;
                report.trouble.get_or_insert(fault);
            }
            outcome => outcome?,
        }
        Ok(())
    }

    async fn put(&self, due: &Due) -> Result<(), Stop> {
        let known = match &due.known {
            Some(known) => known.clone(),
            None => self.intend(due).await?,
        };
        let etag = self.outside.put(&known.href, known.etag.as_deref(), due.entry.event()).await?;
        let Due { entry, .. } = due;
        let (version, starts_at, ends_at) = (entry.version, entry.starts_at, entry.ends_at);
        self.keep(&OutsideEvent { etag, version, starts_at, ends_at, ..known }).await
    }

    /// First it is noted that it will be there: whoever comes after one who died in between knows it for ours.
    async fn intend(&self, due: &Due) -> Result<OutsideEvent, Stop> {
        let event = OutsideEvent {
            appointment_id: due.appointment_id.clone(),
            href: self.outside.href(&due.entry.uid()),
            etag: None,
            version: 0,
            starts_at: due.entry.starts_at,
            ends_at: due.entry.ends_at,
        };
        self.keep(&event).await?;
        Ok(event)
    }

    async fn delete(&self, known: &OutsideEvent) -> Result<(), Stop> {
        self.outside.delete(&known.href).await?;
        db::retrying(self.db(), async |mut tx| {
            lease_hold(&mut tx, &self.lease).await?;
            event_forget(&mut tx, self.name(), &known.appointment_id).await?;
            Ok::<_, Stop>(tx.commit_unaudited().await?)
        })
        .await
    }

    /// Keeps what is known of an event.
    pub(super) async fn keep(&self, event: &OutsideEvent) -> Result<(), Stop> {
        db::retrying(self.db(), async |mut tx| {
            lease_hold(&mut tx, &self.lease).await?;
            event_keep(&mut tx, self.name(), event).await?;
            Ok::<_, Stop>(tx.commit_unaudited().await?)
        })
        .await
    }
}

/// Appointments that are to come, and the one that is under way.
pub fn to_come(now: DateTime<Utc>) -> Span {
    let span = ahead(now);
    Span { starts_at: span.starts_at - TimeDelta::hours(1), ..span }
}
