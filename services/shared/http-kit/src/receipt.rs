//! [`Receipt`]: a POST's answer, kept for the same request repeated under the same `Idempotency-Key`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contracts::endpoint::Endpoint;
use contracts::problem::{Problem, ProblemCode};
use db::{Begun, KeptAnswer, Ticket};
use http::request::Parts;

use crate::answer::Answer;
use crate::problem;
use crate::token::Caller;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Keeps a POST's answer in the transaction of its effect, when the client sent an `Idempotency-Key`.
#[derive(Clone)]
pub struct Receipt(Option<Arc<Claim>>);

/// The key, claimed for this request.
struct Claim {
    db: db::Db,
    ticket: Ticket,
    kept: AtomicBool,
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
        if let Some(claim) = &self.0 {
            db::idempotency_keep(&mut tx, &claim.db, &claim.ticket, &answer.render()).await?;
            claim.kept.store(true, Ordering::Release);
        }
        tx.commit().await
    }

    /// Gives the key back if nothing came of the request.
    pub(crate) async fn release(self, failed: bool) {
        let Some(claim) = self.0 else { return };
        if (failed || !claim.kept.load(Ordering::Acquire))
            && let Err(error) = db::idempotency_release(&claim.db, &claim.ticket).await
        {
            tracing::warn!(%error, "an idempotency key stays taken for a minute");
        }
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
    match db::idempotency_begin(db, &scope, key, &hash).await.map_err(|error| problem::of_db(&error))? {
        Begun::Fresh(ticket) => {
            let claim = Claim { db: db.clone(), ticket, kept: AtomicBool::new(false) };
            Ok(Claimed::Fresh(Receipt(Some(Arc::new(claim)))))
        }
        Begun::Replay(kept) => Ok(Claimed::Replay(kept)),
        Begun::Mismatch => Err(Problem::new(ProblemCode::IdempotencyMismatch)),
        Begun::InFlight => Err(Problem::new(ProblemCode::IdempotencyInFlight)),
    }
}
