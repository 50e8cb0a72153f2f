//! The relay: takes events from the outbox and POSTs each to its subscriber, at least once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::client::Transport;
use contracts::event::{Deliver, Event};
use db::{ClaimedEvent, Db, OutboxEvent, Tx};
use futures_util::future::join_all;

use crate::kit::Kit;

/// Claimed at a time.
const BATCH: u32 = 32;
/// Looked for at least so often: another instance may have died with claims of its own.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Puts an event in the outbox, in the transaction of what it tells.
pub async fn publish(tx: &mut Tx, db: &Db, event: &Event) -> Result<(), db::Error> {
    let patient = match &event.what {
        contracts::event::What::PatientErased { patient_id } => Some(patient_id.as_str()),
        _ => None,
    };
    let kept = OutboxEvent {
        id: event.id.to_string(),
        name: event.what.name(),
        subject_patient: patient,
        subscribers: event.what.subscribers(),
        body: event,
        occurred_at: event.occurred_at,
    };
    db::outbox_add(tx, db, &kept).await
}

/// Delivers for as long as the future lives.
pub async fn run(kit: Kit) {
    let mut transports = HashMap::new();
    loop {
        let claimed = match db::outbox_claim(&kit.db, BATCH).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                Vec::new()
            }
        };
        if claimed.is_empty() {
            wait(&kit.db).await;
            continue;
        }
        for event in &claimed {
            if let std::collections::hash_map::Entry::Vacant(vacant) =
                transports.entry(event.subscriber.clone())
                && let Some(transport) = way(&kit, &event.subscriber)
            {
                vacant.insert(transport);
            }
        }
        join_all(claimed.iter().map(|event| deliver(&kit.db, transports.get(&event.subscriber), event)))
            .await;
    }
}

async fn wait(db: &Db) {
    let pause = match db::outbox_backlog(db).await {
        Ok(backlog) => backlog.next_attempt_at.map_or(LOOK_EVERY, |at| {
            (at - db.clock().now()).to_std().unwrap_or_default().clamp(Duration::from_millis(50), LOOK_EVERY)
        }),
        Err(_) => LOOK_EVERY,
    };
    let _ = tokio::time::timeout(pause, db.outbox_notify().notified()).await;
}

fn way(kit: &Kit, subscriber: &str) -> Option<Arc<Transport>> {
    let peer = settings::ServiceName::ALL.into_iter().find(|name| name.as_str() == subscriber)?;
    kit.transport(peer).ok()
}

async fn deliver(db: &Db, transport: Option<&Arc<Transport>>, claimed: &ClaimedEvent) {
    let outcome = match (transport, serde_json::from_slice::<Event>(&claimed.body)) {
        (None, _) => Err("no way to this subscriber".to_owned()),
        (_, Err(_)) => Err("the event is not of a known shape".to_owned()),
        (Some(transport), Ok(event)) => {
            transport.call::<Deliver>(&[], &(), &event).await.map(drop).map_err(|error| error.to_string())
        }
    };
    let noted = match &outcome {
        Ok(()) => db::outbox_delivered(db, claimed).await,
        Err(why) => {
            tracing::warn!(
                event = claimed.name,
                subscriber = claimed.subscriber,
                attempt = claimed.attempt,
                why,
                "an event was not delivered"
            );
            db::outbox_failed(db, claimed, None, why).await.map(drop)
        }
    };
    if let Err(error) = noted {
        // The claim runs out, and the event is delivered once more: subscribers know it by its id.
        tracing::warn!(%error, event = claimed.name, "a delivery could not be noted");
    }
}
