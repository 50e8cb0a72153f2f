//! The key-encryption key: made once, or brought along with the backup that the stack is filled from; and how another takes its place.
//!
//! ```text
//! current        what services wrap keys under
//! next           during a rotation: known to all services, used by none yet
//! previous       during a rotation: what keys may still be wrapped under
//! ```
//!
//! Pods read all three, and so they are no `next-…` or `previous-…`: a pod template that mounts the Secret rolls with each step.
//!
//! Losing one too early would lose data. So `previous` is taken away for one reason only: each service's Job has said that all its keys are
//! wrapped under `current`, and that its database takes no key that is not ([`crate::plan::rewrap`]).

use chrono::TimeDelta;
use contracts::kek::kek_id;
use http_kit::generate;
use stack::names;

use super::draft::{Book, Draft};
use super::rotation::{self, KEK, Step, Terms, advance};
use super::{Lifetime, News, Planned, Refusal, Request};

/// What services wrap keys under.
pub(super) const CURRENT: &str = "current";
/// What they will.
pub(super) const NEXT: &str = "next";
/// What they did.
pub(super) const PREVIOUS: &str = "previous";

/// On the Secret: the keys that came with a backup, by what they are called.
const RESTORED: &str = "healthcarestack.dev/restored-keys";

/// A pod that goes answers for so long, and some to spare. Later, it would be refused to make a key under the previous one.
const OVERLAP: TimeDelta = TimeDelta::minutes(1);

/// Makes it or takes it over, and takes the next step of a rotation. One that is missing while others of the stack's Secrets are there was
/// lost: a new one would open nothing, so none is made.
pub(super) fn kek(request: &Request<'_>, book: &mut Book<'_>, planned: &mut Planned) -> Result<(), Refusal> {
    let mut draft = book.open(names::KEK, Lifetime::Kept);
    if draft.is_new() {
        if book.is_there(names::SIGNING_KEYS) || book.is_there(names::FIRST_ADMIN) {
            return Err(Refusal::KekLost { secret: names::object(&request.stack.name, names::KEK) });
        }
        match &request.sources.kek {
            Some(escrowed) => take_over(&mut draft, escrowed)?,
            None => draft.set(CURRENT, generate::kek(request.random).as_str()),
        }
    } else if !draft.has(CURRENT) {
        return Err(draft.damaged(CURRENT));
    }
    rotate(request, &mut draft, planned)?;
    planned.kek.restored =
        draft.note(RESTORED).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    book.close(draft);
    Ok(())
}

/// The keys as the Secret that `keySecretRef` names holds them: the present one, and during a rotation another.
#[derive(Clone, Default)]
pub struct Escrowed {
    /// What services wrapped keys under.
    pub current: Vec<u8>,
    /// What they were about to.
    pub next: Option<Vec<u8>>,
    /// What they had before.
    pub previous: Option<Vec<u8>>,
}

/// A rotation that the old stack had begun is gone on with here. The next one is used at once: nobody runs yet who does not know it, and the
/// backup may be of a time when it was in use.
fn take_over(draft: &mut Draft, escrowed: &Escrowed) -> Result<(), Refusal> {
    let Escrowed { current, next, previous } = escrowed;
    let (current, previous) = match next {
        Some(next) => (next, Some(current)),
        None => (current, previous.as_ref()),
    };
    let mut ids = Vec::new();
    for (key, value) in [(CURRENT, Some(current)), (PREVIOUS, previous)] {
        let Some(value) = value else { continue };
        let (text, id) = escrowed_kek(value)?;
        draft.set(key, text);
        ids.push(id);
    }
    draft.set_note(RESTORED, Some(ids.join(" ")));
    if draft.has(PREVIOUS) {
        rotation::set_in_use(draft);
    }
    Ok(())
}

fn escrowed_kek(text: &[u8]) -> Result<(String, String), Refusal> {
    let text = std::str::from_utf8(text).map(str::trim).map_err(|_| Refusal::EscrowedKey)?;
    let id = id_of(text.as_bytes()).ok_or(Refusal::EscrowedKey)?;
    Ok((text.to_owned(), id))
}

/// Of 32 bytes in Base64.
fn id_of(value: &[u8]) -> Option<String> {
    let key = data_encoding::BASE64.decode(value.trim_ascii()).ok()?;
    Some(kek_id(key.as_slice().try_into().ok()?))
}

fn rotate(request: &Request<'_>, draft: &mut Draft, planned: &mut Planned) -> Result<(), Refusal> {
    let terms = Terms { what: KEK, due: false, overlap: OVERLAP };
    if rotation::wakes_at(draft, OVERLAP).is_some_and(|at| request.now >= at) {
        let id = draft.get(CURRENT).and_then(id_of).ok_or_else(|| draft.damaged(CURRENT))?;
        if request.rewrapped != Some(id.as_str()) {
            planned.kek.rewrap = Some(id);
            (planned.rotating, planned.moving) = (true, true);
            return Ok(());
        }
    }
    match advance(draft, request, &terms)? {
        Step::Stay => {}
        Step::Publish => draft.set(NEXT, generate::kek(request.random).as_str()),
        Step::Use => {
            let next = draft.take(NEXT).ok_or_else(|| draft.damaged(NEXT))?;
            let previous = draft.take(CURRENT).unwrap_or_default();
            draft.set(CURRENT, next);
            draft.set(PREVIOUS, previous);
            planned.news.push(News::KekInUse);
        }
        Step::Retire => {
            draft.take(PREVIOUS);
            planned.news.push(News::KekRotated);
        }
    }
    planned.note(draft, OVERLAP);
    Ok(())
}
