//! Keys of the stack's own that sign tokens, and the first administrator's password.

use chrono::TimeDelta;
use contracts::auth::JwkSet;
use http_kit::generate;
use http_kit::identity::{generate_key, public_jwk};
use settings::{GATEWAY_NAME, ServiceName};
use stack::names;

use super::draft::{Book, Draft};
use super::rotation::{self, IDENTITIES, SIGNING_KEYS, Step, Terms, advance};
use super::{Lifetime, Planned, Refusal, Request};

/// The name that the auth service gives the first administrator.
const FIRST_ADMIN: &str = "admin";
/// The name of the signing key to sign with.
const CURRENT: &str = "current";
/// Clocks differ, and a token that is on its way arrives a little later.
const SKEW: TimeDelta = TimeDelta::minutes(2);
/// Longer than a service's or the gateway's own token lives.
const IDENTITY_OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// The keys that users' tokens are signed with: `<kid>.p8`, of which `current` names the one to sign with.
///
/// Every key is published by auth's own pods, so that the next one is only used when all of them have it.
pub(super) fn signing(
    request: &Request<'_>,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<(), Refusal> {
    let overlap = TimeDelta::seconds(i64::from(request.stack.auth.access_token_lifetime.secs())) + SKEW;
    let mut draft = book.open(names::SIGNING_KEYS, Lifetime::Kept);
    if draft.is_new() {
        let kid = new_signing_key(request, &mut draft)?;
        draft.set(CURRENT, kid);
    }
    let current = draft.text(CURRENT)?.trim().to_owned();
    if !draft.has(&format!("{current}.p8")) {
        return Err(draft.damaged(CURRENT));
    }
    let others: Vec<_> = signing_kids(&draft).filter(|kid| *kid != current).map(str::to_owned).collect();
    match advance(&mut draft, request, &Terms { what: SIGNING_KEYS, due: false, overlap })? {
        Step::Stay => {}
        Step::Publish => drop(new_signing_key(request, &mut draft)?),
        // Names begin with the time at which they were made: the last is the newest.
        Step::Use => {
            let newest =
                signing_kids(&draft).max().map(str::to_owned).ok_or_else(|| draft.damaged(CURRENT))?;
            draft.set(CURRENT, newest);
        }
        Step::Retire => others.iter().for_each(|kid| drop(draft.take(&format!("{kid}.p8")))),
    }
    planned.note(&draft, overlap);
    book.close(draft);
    Ok(())
}

fn signing_kids(draft: &Draft) -> impl Iterator<Item = &str> {
    draft.keys().filter_map(|key| key.strip_suffix(".p8"))
}

fn new_signing_key(request: &Request<'_>, draft: &mut Draft) -> Result<String, Refusal> {
    let kid = generate::signing_kid(request.random, request.now);
    let (key, _) = generate_key(&kid).map_err(|_| draft.damaged(&kid))?;
    draft.set(&format!("{kid}.p8"), key.as_slice());
    Ok(kid)
}

const KEY: &str = "key.p8";
const NEXT_KEY: &str = "next-key.p8";
const PREVIOUS_KEY: &str = "previous-key.p8";

/// The keys that services and gateway sign their own tokens with, and the public halves that all of them know.
pub(super) fn identities(
    request: &Request<'_>,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<(), Refusal> {
    let services = ServiceName::ALL.map(|service| (service.as_str(), names::identity(service)));
    let gateway = (GATEWAY_NAME, names::API_GATEWAY_IDENTITY.to_owned());
    let mut public = JwkSet::default();
    for (part, secret) in services.into_iter().chain([gateway]) {
        let mut draft = book.open(&secret, Lifetime::Stack);
        if !draft.has(KEY) {
            draft.set(KEY, new_identity(part, &draft)?);
        }
        match advance(
            &mut draft,
            request,
            &Terms { what: IDENTITIES, due: false, overlap: IDENTITY_OVERLAP },
        )? {
            Step::Stay => {}
            Step::Publish => draft.set(NEXT_KEY, new_identity(part, &draft)?),
            Step::Use => {
                let next = draft.take(NEXT_KEY).ok_or_else(|| draft.damaged(NEXT_KEY))?;
                let previous = draft.take(KEY).unwrap_or_default();
                draft.set(KEY, next);
                draft.set(PREVIOUS_KEY, previous);
            }
            Step::Retire => drop(draft.take(PREVIOUS_KEY)),
        }
        for (key, kid) in [
            (KEY, part.to_owned()),
            (NEXT_KEY, format!("{part}.next")),
            (PREVIOUS_KEY, format!("{part}.previous")),
        ] {
            if let Some(pkcs8) = draft.get(key) {
                public.keys.push(public_jwk(&kid, pkcs8).map_err(|_| draft.damaged(key))?);
            }
        }
        planned.note(&draft, IDENTITY_OVERLAP);
        book.close(draft);
    }
    let mut draft = book.open(names::SERVICE_IDENTITIES, Lifetime::Stack);
    // A key set is made to be JSON, so this does not fail.
    draft.set("jwks.json", serde_json::to_vec_pretty(&public).unwrap_or_default());
    book.close(draft);
    Ok(())
}

fn new_identity(part: &str, draft: &Draft) -> Result<Vec<u8>, Refusal> {
    generate_key(part).map(|(key, _)| key.to_vec()).map_err(|_| draft.damaged(KEY))
}

/// The first administrator's name and password. It means nothing once there is a user.
pub(super) fn first_admin(request: &Request<'_>, book: &mut Book<'_>) {
    let mut draft = book.open(names::FIRST_ADMIN, Lifetime::Kept);
    if draft.is_new() {
        draft.set("username", FIRST_ADMIN);
        draft.set("password", generate::readable_password(request.random));
    }
    book.close(draft);
}

impl Planned {
    /// Notes what a Secret's rotation waits for.
    pub(super) fn note(&mut self, draft: &Draft, overlap: TimeDelta) {
        self.rotating |= rotation::is_under_way(draft);
        self.moving |= rotation::is_under_way(draft) && rotation::wakes_at(draft, overlap).is_none();
        self.wake_at = [self.wake_at, rotation::wakes_at(draft, overlap)].into_iter().flatten().min();
    }

    /// Notes a time at which there is something to do.
    pub(super) fn wake(&mut self, at: chrono::DateTime<chrono::Utc>) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
