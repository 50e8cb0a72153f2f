//! The relay: takes events from the outbox and POSTs each to its subscriber, at least once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::client::{ClientError, Transport};
use contracts::event::{Deliver, Event};
use contracts::id::EventId;
use contracts::problem::{Problem, ProblemCode};
use db::{ClaimedEvent, Db, Engine, OutboxEvent, Tx};
use futures_util::future::join_all;
use settings::ServiceName;
use traces::{Current, Tracer};

use crate::caller::Caller;
use crate::kit::Kit;
use crate::token::PART_PREFIX;

/// Claimed at a time.
const BATCH: u32 = 32;
/// Looked for at least so often: another instance may have died with claims of its own.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whoever waits for an event to be delivered looks this often.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Puts an event in the outbox, in the transaction of what it tells.
pub async fn publish(tx: &mut Tx, db: &Db, event: &Event) -> Result<(), db::Error> {
    let patient = event.what.erased().map(contracts::id::PatientId::as_str);
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

/// Refuses an event that is not the caller's to tell.
pub fn check_teller(caller: &Caller, event: &Event) -> Result<(), Problem> {
    let Some(part) = caller.user.strip_prefix(PART_PREFIX) else { return Ok(()) };
    let is_its = |service: ServiceName| service.as_str() == part && event.what.is_told_by(service);
    if ServiceName::ALL.into_iter().any(is_its) {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::Forbidden).detail("Another service tells of this."))
}

/// Waits until every subscriber has an event that was committed, or `at_most` so long; tells whether they have.
pub async fn until_delivered(db: &Db, event: &EventId, at_most: Duration) -> Result<bool, db::Error> {
    let begun = Instant::now();
    while !db::outbox_is_delivered(db, event.as_str()).await? {
        if begun.elapsed() >= at_most {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(true)
}

/// Delivers for as long as the future lives.
pub async fn run(kit: Kit) {
    let (mut transports, tracer) = (HashMap::new(), kit.tracer());
    if kit.db.engine() == Engine::Sqlite
        && let Err(error) = db::outbox_release(&kit.db).await
    {
        tracing::warn!(%error, "what was claimed before waits for its lease to end");
    }
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
        let mut by_subscriber: HashMap<&str, Vec<&ClaimedEvent>> = HashMap::new();
        for event in &claimed {
            by_subscriber.entry(&event.subscriber).or_default().push(event);
        }
        for subscriber in by_subscriber.keys() {
            if !transports.contains_key(*subscriber)
                && let Some(transport) = way(&kit, subscriber)
            {
                transports.insert((*subscriber).to_owned(), transport);
            }
        }
        join_all(by_subscriber.into_iter().map(|(subscriber, events)| {
            deliver_all((&kit.db, &tracer), subscriber, transports.get(subscriber), events)
        }))
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

/// Delivers to one subscriber, one event after another. Once it does not answer, the rest of the batch waits too: a service that is
/// down is asked once, not once for each event.
async fn deliver_all(
    (db, tracer): (&Db, &Tracer),
    subscriber: &str,
    transport: Option<&Arc<Transport>>,
    events: Vec<&ClaimedEvent>,
) {
    let mut down = None;
    let (mut failed, mut attempt) = (0, 0);
    for event in events {
        let outcome = match (&down, transport) {
            (Some(why), _) => Err(Undelivered::Down(String::clone(why))),
            (None, None) => Err(Undelivered::Refused("there is no way to this subscriber".to_owned())),
            (None, Some(transport)) => traced(tracer, &event.name, deliver(transport, event)).await,
        };
        let noted = match &outcome {
            Ok(()) => db::outbox_delivered(db, event).await,
            Err(Undelivered::Down(why) | Undelivered::Refused(why)) => {
                (failed, attempt) = (failed + 1, attempt.max(event.attempt));
                db::outbox_failed(db, event, None, why).await.map(drop)
            }
        };
        if let Err(error) = noted {
            // The claim runs out, and the event is delivered once more: subscribers know it by its id.
            tracing::warn!(%error, event = event.name, "a delivery could not be noted");
        }
        match outcome {
            Err(Undelivered::Down(why)) => down = Some(why),
            Err(Undelivered::Refused(why)) => {
                tracing::warn!(event = event.name, subscriber, attempt, why, "an event was refused");
            }
            Ok(()) => {}
        }
    }
    if let Some(why) = down {
        tracing::warn!(subscriber, failed, attempt, why, "events wait for a subscriber that does not answer");
    }
}

enum Undelivered {
    /// The subscriber does not answer.
    Down(String),
    /// It answers, but does not take this one.
    Refused(String),
}

/// A delivery begins a trace of its own: the request that the event comes from was answered before.
async fn traced<T>(
    tracer: &Tracer,
    event: &str,
    delivery: impl Future<Output = Result<T, Undelivered>>,
) -> Result<T, Undelivered> {
    let mut span = tracer.root(format!("deliver {event}"));
    let current = span.as_ref().map(|span| Current { context: span.context(), tracer: tracer.clone() });
    let delivered = traces::within(current, delivery).await;
    if let (Some(span), Err(undelivered)) = (&mut span, &delivered) {
        let kind = if matches!(undelivered, Undelivered::Down(_)) { "unavailable" } else { "refused" };
        span.fail(kind, "the event was not delivered");
    }
    delivered
}

async fn deliver(transport: &Transport, claimed: &ClaimedEvent) -> Result<(), Undelivered> {
    let event: Event = serde_json::from_slice(&claimed.body)
        .map_err(|_| Undelivered::Refused("the event is not of a known shape".to_owned()))?;
    // The inbox knows an event that came before by its id: it may be repeated at once.
    match transport.call_once::<Deliver>(event.id.as_str(), &[], &(), &event).await {
        Ok(_) => Ok(()),
        Err(error @ ClientError::Unavailable(_)) => Err(Undelivered::Down(error.to_string())),
        Err(ClientError::Problem(problem)) if problem.status >= 500 => {
            Err(Undelivered::Down(format!("it answers {}", problem.status)))
        }
        Err(error) => Err(Undelivered::Refused(error.to_string())),
    }
}
