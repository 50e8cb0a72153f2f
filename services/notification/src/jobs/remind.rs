//! Makes ready what was planned and whose time has come, batch by batch: asks where it goes now, and hands it to the way out.

use std::time::Duration;

use crate::error::Error;
use crate::planner::Planner;
use crate::store::due::{Due, Made, Ready, scheduled_claim, scheduled_note};
use crate::store::scheduled::scheduled_next;

/// Claimed at a time: made ready together, within the lease, though each of those who are asked where somebody is reached be as slow as they may. The more there
/// are, the less each costs.
const BATCH: u32 = 256;
/// When fewer were due than that, so long is waited for more: what is due one after the other is made ready together.
const GATHER: Duration = Duration::from_millis(100);
/// Looked for at least so often: another instance may have died with claims of its own.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Again and again, for as long as the future lives.
pub async fn run(planner: Planner) {
    loop {
        let made_ready = match scheduled_claim(&planner.db, BATCH).await {
            Ok(due) if due.is_empty() => Ok(false),
            Ok(due) => {
                let is_all = due.len() < BATCH as usize;
                let made_ready = make_ready(&planner, &due).await;
                if is_all && made_ready.is_ok() {
                    tokio::time::sleep(GATHER).await;
                }
                made_ready.map(|()| true)
            }
            Err(error) => Err(error.into()),
        };
        match made_ready {
            Ok(true) => {}
            Ok(false) => wait(&planner).await,
            Err(error) => {
                // The claims run out, and they are claimed once more.
                tracing::warn!(%error, "what is due could not be made ready");
                wait(&planner).await;
            }
        }
    }
}

async fn make_ready(planner: &Planner, due: &[Due]) -> Result<(), Error> {
    let ready = planner.ready(due).await?;
    let locks: Vec<_> =
        due.iter().map(|due| db::erasure_lock_name(due.waiting.visit.patient.as_str())).collect();
    let locks: Vec<_> = locks.iter().map(String::as_str).collect();
    let made: Vec<Made<'_>> = due
        .iter()
        .zip(&ready)
        .map(|(due, (ready, _))| {
            let has_way = match ready {
                Ready::Send(channel, _) => planner.delivery.has_way(*channel),
                Ready::Withdraw(_) | Ready::Fail | Ready::Later => false,
            };
            (due, ready, has_way)
        })
        .collect();
    db::retrying(&planner.db, async |mut tx| {
        tx.lock(&locks).await?;
        let noted = scheduled_note(&mut tx, &planner.db, &made).await?;
        for (due, (_, copies)) in due.iter().zip(&ready) {
            if noted.contains(&due.id) {
                planner.insert(&mut tx, copies).await?;
            }
        }
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    planner.delivery.wake();
    Ok(())
}

async fn wait(planner: &Planner) {
    let pause = match scheduled_next(&planner.db).await {
        Ok(Some(at)) => {
            let ahead = (at - planner.db.clock().now()).to_std().unwrap_or_default();
            ahead.clamp(Duration::from_millis(50), LOOK_EVERY)
        }
        Ok(None) | Err(_) => LOOK_EVERY,
    };
    let _ = tokio::time::timeout(pause, planner.woken()).await;
}
