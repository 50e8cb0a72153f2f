//! [`Receipt`]: a POST's answer, kept for the same request repeated under the same `Idempotency-Key`.
//!
//! A key is given back as soon as nothing can come of its request any more: when it was refused, and when it was dropped, since its client is
//! gone. Whoever asks again need not wait then for the minute after which a claim may be taken over; that is for processes that died.
//!
//! A request may be dropped while its commit is under way. Giving back is safe then too: it takes away a claim without an answer, and waits for
//! the commit to see whether there is one (on PostgreSQL for the row, which the answer has locked; on SQLite for the one writer).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::endpoint::Endpoint;
use contracts::problem::{Problem, ProblemCode};
use db::{Begun, KeptAnswer, Ticket};
use http::request::Parts;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::token::Caller;
use crate::{concerned, problem};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// So many dropped requests of a process give their keys back at once. Where more are dropped, something is very wrong, and the rest stay
/// taken for their minute.
const GIVEN_BACK_AT_ONCE_MAX: usize = 64;
static GIVING_BACK: Semaphore = Semaphore::const_new(GIVEN_BACK_AT_ONCE_MAX);
/// What takes longer is hardly worth it.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps a POST's answer in the transaction of its effect, when the client sent an `Idempotency-Key`.
#[derive(Clone)]
pub struct Receipt(Option<Arc<Claim>>);

/// The key, claimed for this request.
struct Claim {
    db: db::Db,
    ticket: Ticket,
    kept: AtomicBool,
    /// Nothing is left to give back.
    is_settled: AtomicBool,
}

/// What a request's `Idempotency-Key` says of it.
pub(crate) enum Claimed {
    /// It is to be done.
    Fresh(Receipt),
    /// It was done: the same answer again.
    Replay(KeptAnswer),
}

impl Receipt {
    /// For a call without an `Idempotency-Key`, and for tests of handlers.
    pub fn none() -> Self {
        Self(None)
    }

    /// Commits the transaction, and the answer with it: the last line of a POST's handler.
    pub async fn commit<E: Endpoint>(&self, mut tx: db::Tx, answer: &Answer<E>) -> Result<(), db::Error> {
        let kept = answer.render();
        // The entry in the audit names whoever the answer does: a patient who is registered has got an id only now.
        concerned::in_json(&kept.body);
        if let Some(claim) = &self.0 {
            db::idempotency_keep(&mut tx, &claim.db, &claim.ticket, &kept).await?;
            claim.kept.store(true, Ordering::Release);
        }
        tx.commit().await
    }

    /// Commits the transaction, and keeps no answer: what is in it is a secret that is shown once. The same request repeated is done anew, or
    /// refused since it was done.
    pub async fn commit_once<E: Endpoint>(&self, tx: db::Tx, answer: &Answer<E>) -> Result<(), db::Error> {
        concerned::in_json(&answer.render().body);
        tx.commit().await
    }

    /// Gives the key back if nothing came of the request, or nothing that was kept.
    pub(crate) async fn release(self, failed: bool) {
        let Some(claim) = self.0 else { return };
        if failed || !claim.kept.load(Ordering::Acquire) {
            give_back(&claim.db, &claim.ticket).await;
        }
        claim.is_settled.store(true, Ordering::Release);
    }
}

impl Drop for Claim {
    /// The request was dropped, with all that it was doing, before it came to an end.
    fn drop(&mut self) {
        if *self.is_settled.get_mut() {
            return;
        }
        let (Ok(runtime), Ok(place)) = (Handle::try_current(), GIVING_BACK.try_acquire()) else {
            tracing::warn!("too many requests were dropped: an idempotency key stays taken for a minute");
            return;
        };
        let (db, ticket) = (self.db.clone(), self.ticket.clone());
        runtime.spawn(async move {
            let _place = place;
            if timeout(GIVE_BACK_TIMEOUT, give_back(&db, &ticket)).await.is_err() {
                tracing::warn!("an idempotency key could not be given back in time");
            }
        });
    }
}

/// Takes the claim away, unless an answer was kept.
async fn give_back(db: &db::Db, ticket: &Ticket) {
    if let Err(error) = db::idempotency_release(db, ticket).await {
        tracing::warn!(%error, "an idempotency key stays taken for a minute");
    }
}

/// Claims the key that the client sent, if it sent one. A key is its user's and its path's own.
pub(crate) async fn claim_idempotency_key(
    db: &db::Db,
    parts: &Parts,
    caller: &Caller,
    body: &[u8],
) -> Result<Claimed, Problem> {
    let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Claimed::Fresh(Receipt::none())) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Problem::new(ProblemCode::MalformedRequest)
            .detail("Idempotency-Key must have 1 to 255 printable ASCII characters."));
    }
    let scope = format!("{} {}", caller.user, parts.uri.path());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    let begun = begin(db.clone(), scope, key.to_owned(), hash);
    // In a task of its own: were it dropped in the middle of its commit, nobody would know whether to give the key back. As it is, what it
    // comes to is a claim, which is dropped if nobody takes it.
    tokio::spawn(begun).await.unwrap_or_else(|_| Err(Problem::new(ProblemCode::Internal)))
}

async fn begin(db: db::Db, scope: String, key: String, hash: [u8; 32]) -> Result<Claimed, Problem> {
    match db::idempotency_begin(&db, &scope, &key, &hash).await.map_err(|error| problem::of_db(&error))? {
        Begun::Fresh(ticket) => {
            let (kept, is_settled) = (AtomicBool::new(false), AtomicBool::new(false));
            Ok(Claimed::Fresh(Receipt(Some(Arc::new(Claim { db, ticket, kept, is_settled })))))
        }
        Begun::Replay(kept) => Ok(Claimed::Replay(kept)),
        Begun::Mismatch => Err(Problem::new(ProblemCode::IdempotencyMismatch)),
        Begun::InFlight => Err(Problem::new(ProblemCode::IdempotencyInFlight)),
    }
}
