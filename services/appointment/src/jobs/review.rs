//! Looks at what is booked ahead with a provider whose schedule has changed: what does not fit any more becomes a conflict that staff see and
//! resolve, and what fits again is none.
//!
//! A batch is a transaction, under the provider's lock: nothing is booked with them meanwhile. Where it broke off, it goes on.

use std::time::Duration;

use db::Db;

use crate::api::publish;
use crate::domain::notice;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::peers::Peers;
use crate::store::appointment::{appointment_update, provider_lock};
use crate::store::search::appointments_ahead_some;
use crate::store::state::{Due, due_after, heard, reviewed};

const EVERY: Duration = Duration::from_millis(500);
/// After what could not be done.
const PAUSE: Duration = Duration::from_secs(5);
/// So many appointments are looked at in one transaction.
const BATCH: i64 = 100;
/// As the history names who did it.
const BY: &str = "service:appointment-service";

/// Again and again.
pub(crate) async fn run(db: Db, peers: Peers) {
    loop {
        let pause = match all(&db, &peers).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "what is booked ahead could not be held against a schedule that has changed");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Looks at everybody's that are due. Where one fails, the others are looked at all the same.
async fn all(db: &Db, peers: &Peers) -> Result<(), Error> {
    let (mut last, mut outcome) = (String::new(), Ok(()));
    loop {
        let mut tx = db.read().await?;
        let Some(due) = due_after(&mut tx, &last).await? else { return outcome };
        drop(tx);
        due.provider.as_str().clone_into(&mut last);
        if let Err(error) = of_provider(db, peers, due).await {
            outcome = Err(error);
        }
    }
}

async fn of_provider(db: &Db, peers: &Peers, mut due: Due) -> Result<(), Error> {
    // Without a profile there is nothing to hold them against: their removal is told by itself.
    let schedule = peers.schedule(&due.provider).await?;
    while let Some(next) = batch(db, &due, schedule.as_ref()).await? {
        due = next;
    }
    Ok(())
}

/// Looks at some. What is next; `None`: that was all, or the schedule has changed again and is to be asked for anew.
async fn batch(db: &Db, due: &Due, schedule: Option<&Schedule>) -> Result<Option<Due>, Error> {
    db::retrying(db, async |mut tx| {
        tx.lock(&[&provider_lock(&due.provider)]).await?;
        if heard(&mut tx, &due.provider).await? != due.heard {
            return Ok(None);
        }
        let Some(schedule) = schedule else {
            reviewed(&mut tx, due, None).await?;
            tx.commit_unaudited().await?;
            return Ok(None);
        };
        let from = tx.now();
        let (last, some) =
            appointments_ahead_some(&mut tx, db, &due.provider, from, due.after.as_ref(), BATCH).await?;
        for kept in some {
            let Some(after) = kept.appointment.reviewed(schedule) else { continue };
            match appointment_update(&mut tx, db, &kept, &after, BY).await {
                Err(Error::Changed) => return Err(Error::Db(db::Error::LostRace)),
                // The patient is being erased: there is nothing left to resolve.
                Err(Error::NotFound) => continue,
                outcome => outcome?,
            }
            let version = (&kept.id, kept.version + 1);
            publish(db, &mut tx, notice::event(version, Some(&kept.appointment), &after, false)).await?;
        }
        reviewed(&mut tx, due, last.as_ref()).await?;
        tx.commit().await?;
        Ok::<_, Error>(last.map(|last| Due { after: Some(last), ..due.clone() }))
    })
    .await
}
