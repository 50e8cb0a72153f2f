//! [`advance`]: how a key is changed while everything runs.
//!
//! ```text
//! at rest ── asked for, or due ──> published ── settled ──> in use ── settled ──> retiring ── overlap over ──> at rest
//!             the next one is         the next one takes          nobody uses the        the previous one
//!             known to all            the place of the present    previous one           is taken away
//! ```
//!
//! The same four steps for signing keys, identities, database roles, CAs and the key-encryption key (which is also waited for until nothing
//! is wrapped under it: [`super::kek`]). Where a key stands is written on its Secret, so that a restarted operator goes on where the last one
//! stopped; nothing goes on before every pod has what the step before made.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::draft::Draft;
use super::{Refusal, Request};

/// The annotation on a `HealthcareStack` that asks for a rotation is this and what is rotated; its value is any word that was not there
/// before, such as the date.
pub const ROTATE: &str = "healthcarestack.dev/rotate-";
/// On a Secret: the word that was asked with last. Being asked with it again does nothing.
const ROTATED: &str = "healthcarestack.dev/rotated";
/// On a Secret: where its rotation stands.
const STAGE: &str = "healthcarestack.dev/rotation";

const PUBLISHED: &str = "published";
const IN_USE: &str = "in-use";
const RETIRING: &str = "retiring-since ";

/// What can be rotated: the ends of the annotations' names.
pub const ROTATABLE: [&str; 6] = [SIGNING_KEYS, IDENTITIES, DATABASE_ROLES, DATABASE_TLS, INTERNAL_TLS, KEK];
/// The keys that users' tokens are signed with.
pub(super) const SIGNING_KEYS: &str = "signing-keys";
/// The keys that services and gateway sign their own tokens with.
pub(super) const IDENTITIES: &str = "identities";
/// The services' roles in the database, with their passwords.
pub(super) const DATABASE_ROLES: &str = "database-roles";
/// The CA of the managed database.
pub(super) const DATABASE_TLS: &str = "database-tls";
/// The CA of the certificates that the parts show each other.
pub(super) const INTERNAL_TLS: &str = "internal-tls";
/// The key-encryption key. Whoever asks for it has a copy to renew, so that it is never meant by "all".
pub const KEK: &str = "kek";

/// What there is to do with a Secret's data now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// Make the next one, and let everybody know it.
    Publish,
    /// Put the next one in the place of the present one, which becomes the previous.
    Use,
    /// Take the previous one away.
    Retire,
}

/// When a rotation may go on.
pub(super) struct Terms<'a> {
    /// What is rotated, as the annotation says it.
    pub(super) what: &'a str,
    /// Whether it is due without being asked for.
    pub(super) due: bool,
    /// How long what the previous key vouched for is still good, once nobody uses it.
    pub(super) overlap: TimeDelta,
}

/// Decides what is to be done with a Secret now, and notes it there.
pub(super) fn advance(draft: &mut Draft, request: &Request<'_>, terms: &Terms<'_>) -> Result<Step, Refusal> {
    let asked = request.rotate.get(terms.what).map(String::as_str);
    if draft.is_new() {
        // What is made now is new already.
        draft.set_note(ROTATED, asked.map(str::to_owned));
        return Ok(Step::Stay);
    }
    let stage = Stage::read(draft)?;
    let (next, step) = match stage {
        Stage::Rest if terms.due || asked.is_some_and(|asked| draft.note(ROTATED) != Some(asked)) => {
            if let Some(asked) = asked {
                draft.set_note(ROTATED, Some(asked.to_owned()));
            }
            (Stage::Published, Step::Publish)
        }
        Stage::Published if request.settled => (Stage::InUse, Step::Use),
        Stage::InUse if request.settled => (Stage::RetiringSince(request.now), Step::Stay),
        Stage::RetiringSince(since) if request.now >= since + terms.overlap => (Stage::Rest, Step::Retire),
        waiting => (waiting, Step::Stay),
    };
    if next != stage {
        draft.set_note(STAGE, next.written());
    }
    Ok(step)
}

/// When a rotation that waits for nothing but time goes on.
pub(super) fn wakes_at(draft: &Draft, overlap: TimeDelta) -> Option<DateTime<Utc>> {
    match Stage::read(draft) {
        Ok(Stage::RetiringSince(since)) => Some(since + overlap),
        _ => None,
    }
}

/// Notes that the next one is made known already.
pub(super) fn set_published(draft: &mut Draft) {
    draft.set_note(STAGE, Stage::Published.written());
}

/// Notes that the next one is in the place of the present one already.
pub(super) fn set_in_use(draft: &mut Draft) {
    draft.set_note(STAGE, Stage::InUse.written());
}

/// Whether a rotation is under way.
pub(super) fn is_under_way(draft: &Draft) -> bool {
    draft.note(STAGE).is_some()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Rest,
    Published,
    InUse,
    RetiringSince(DateTime<Utc>),
}

impl Stage {
    fn read(draft: &Draft) -> Result<Self, Refusal> {
        match draft.note(STAGE) {
            None => Ok(Self::Rest),
            Some(PUBLISHED) => Ok(Self::Published),
            Some(IN_USE) => Ok(Self::InUse),
            Some(text) => text
                .strip_prefix(RETIRING)
                .and_then(|since| DateTime::parse_from_rfc3339(since).ok())
                .map(|since| Self::RetiringSince(since.to_utc()))
                .ok_or_else(|| draft.damaged(STAGE)),
        }
    }

    fn written(self) -> Option<String> {
        match self {
            Self::Rest => None,
            Self::Published => Some(PUBLISHED.to_owned()),
            Self::InUse => Some(IN_USE.to_owned()),
            Self::RetiringSince(since) => {
                Some(format!("{RETIRING}{}", since.to_rfc3339_opts(SecondsFormat::Secs, true)))
            }
        }
    }
}
