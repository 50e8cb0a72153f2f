//! [`Authority`]: a CA of the stack's own and what it vouches for, in Secrets that change while everything runs.
//!
//! ```text
//! signer.crt, signer.key        the present CA: ten years, rotated when two are left. No pod sees it
//! next-…, previous-…            during a rotation of the CA
//! tls.crt, tls.key              what it vouches for: one year, renewed when a third of it is left
//! ca.crt                        what the peers believe: the present CA, and during a rotation the next or the previous one behind it
//! ```
//!
//! A renewed certificate is read again by whoever has it, and replaces no pod. A rotation of the CA does, at each of its steps, since
//! `ca.crt` changes at each: so the next step is not taken before everybody has what the last one made.

use chrono::{DateTime, Months, SecondsFormat, TimeDelta, Utc};
use tls::issue::{self, Signer, Subject};

use super::draft::Draft;
use super::rotation::{self, Step, Terms, advance};
use super::{Planned, Refusal, Request};
use crate::digest::digest;

const CA_YEARS: u32 = 10;
const CA_YEARS_LEFT_MIN: u32 = 2;
const LEAF_MONTHS: u32 = 12;
const LEAF_MONTHS_LEFT_MIN: u32 = 4;

/// On the Secret: when the certificate is made anew.
const RENEW_AT: &str = "healthcarestack.dev/renew-at";
/// On the Secret: when the CA is.
const ROTATE_AT: &str = "healthcarestack.dev/rotate-at";
/// On the Secret: a digest of the CA that vouches for the certificate.
const ISSUER: &str = "healthcarestack.dev/issuer";

/// What holders of the certificate believe.
pub(super) const BELIEVED: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

const SIGNER: &str = "signer.crt";
const SIGNER_KEY: &str = "signer.key";
const NEXT: &str = "next-signer.crt";
const NEXT_KEY: &str = "next-signer.key";
const PREVIOUS: &str = "previous-signer.crt";

/// Which CA it is.
pub(super) struct Purpose {
    /// How it is called, for people.
    pub(super) title: &'static str,
    /// What the annotation calls its rotation.
    pub(super) what: &'static str,
    /// How long the previous one is believed once it vouches for nothing in use.
    pub(super) overlap: TimeDelta,
}

/// A CA as it stands now.
pub(super) struct Authority {
    signer: Signer,
    /// A digest of the CA that signs.
    issuer: String,
    /// Whether what another CA vouches for is to be made anew.
    is_exclusive: bool,
    /// What everybody is to believe.
    pub(super) believed: String,
}

/// Makes the CA of a Secret, or takes its rotation a step further.
pub(super) fn authority(
    draft: &mut Draft,
    request: &Request<'_>,
    planned: &mut Planned,
    purpose: &Purpose,
) -> Result<Authority, Refusal> {
    let now = request.now;
    if !draft.has(SIGNER) {
        make(draft, request, purpose, [SIGNER, SIGNER_KEY])?;
        set_rotate_at(draft, now);
    }
    let due = is_due(draft, ROTATE_AT, now) || !draft.has(SIGNER_KEY);
    let step = advance(draft, request, &Terms { what: purpose.what, due, overlap: purpose.overlap })?;
    match step {
        Step::Stay => {}
        Step::Publish => make(draft, request, purpose, [NEXT, NEXT_KEY])?,
        Step::Use => {
            let (next, key) = (draft.take(NEXT), draft.take(NEXT_KEY));
            let (Some(next), Some(key)) = (next, key) else { return Err(draft.damaged(NEXT)) };
            let previous = draft.take(SIGNER).unwrap_or_default();
            draft.set(PREVIOUS, previous);
            draft.set(SIGNER, next);
            draft.set(SIGNER_KEY, key);
            set_rotate_at(draft, now);
        }
        Step::Retire => drop(draft.take(PREVIOUS)),
    }
    planned.wake(noted(draft, ROTATE_AT).unwrap_or(now));
    planned.note(draft, purpose.overlap);
    let mut believed = draft.text(SIGNER)?.to_owned();
    for other in [NEXT, PREVIOUS] {
        if draft.has(other) {
            believed.push_str(draft.text(other)?);
        }
    }
    // Without the present one's key, only the next one can vouch for anything; what the present one did vouch for is still good.
    let is_exclusive = draft.has(SIGNER_KEY) || !draft.has(NEXT_KEY);
    let (certificate, key) = if is_exclusive { (SIGNER, SIGNER_KEY) } else { (NEXT, NEXT_KEY) };
    let signer = Signer::new(purpose.title, draft.text(key)?).map_err(|_| draft.damaged(key))?;
    Ok(Authority { signer, issuer: digest(draft.text(certificate)?.as_bytes()), is_exclusive, believed })
}

/// Takes up a CA whose Secret is lost: what it vouched for stays good, since its certificate is known from those who believe it, and another
/// takes its place by the same steps as in a rotation.
pub(super) fn take_up(
    draft: &mut Draft,
    request: &Request<'_>,
    purpose: &Purpose,
    believed: &str,
) -> Result<(), Refusal> {
    const END: &str = "-----END CERTIFICATE-----\n";
    let Some(end) = believed.find(END) else { return Ok(()) };
    draft.set(SIGNER, &believed[..end + END.len()]);
    make(draft, request, purpose, [NEXT, NEXT_KEY])?;
    set_rotate_at(draft, request.now);
    rotation::set_published(draft);
    Ok(())
}

impl Authority {
    /// Makes or renews the certificate in a Secret, and says there whom to believe.
    pub(super) fn certify(
        &self,
        draft: &mut Draft,
        request: &Request<'_>,
        planned: &mut Planned,
        subject: Subject<'_>,
    ) -> Result<(), Refusal> {
        let now = request.now;
        let is_of_another = self.is_exclusive && draft.note(ISSUER) != Some(&self.issuer);
        if is_of_another || !draft.has(CERTIFICATE) || !draft.has(KEY) || is_due(draft, RENEW_AT, now) {
            let valid = now..now + Months::new(LEAF_MONTHS);
            let made = self.signer.issue(subject, valid).map_err(|_| draft.damaged(CERTIFICATE))?;
            draft.set(CERTIFICATE, made.certificate);
            draft.set(KEY, made.key);
            draft.set_note(ISSUER, Some(self.issuer.clone()));
            let renew_at = now + Months::new(LEAF_MONTHS - LEAF_MONTHS_LEFT_MIN);
            draft.set_note(RENEW_AT, Some(written(renew_at)));
        }
        draft.set(BELIEVED, self.believed.as_str());
        planned.wake(noted(draft, RENEW_AT).unwrap_or(now));
        Ok(())
    }
}

/// The names that a Service has in its cluster.
pub(super) fn service_hosts(service: &str, namespace: &str) -> Vec<String> {
    let domains = [
        String::new(),
        format!(".{namespace}"),
        format!(".{namespace}.svc"),
        format!(".{namespace}.svc.cluster.local"),
    ];
    domains.iter().map(|domain| format!("{service}{domain}")).collect()
}

/// Whether pods that have this value in a Secret read it again when it changes, so that they need not be replaced.
pub(super) fn is_read_again(key: &str) -> bool {
    [CERTIFICATE, KEY].contains(&key)
}

fn make(
    draft: &mut Draft,
    request: &Request<'_>,
    purpose: &Purpose,
    [certificate, key]: [&str; 2],
) -> Result<(), Refusal> {
    let valid = request.now..years_from(request.now, CA_YEARS);
    let made = issue::authority(purpose.title, valid).map_err(|_| draft.damaged(certificate))?;
    draft.set(certificate, made.certificate);
    draft.set(key, made.key);
    Ok(())
}

fn set_rotate_at(draft: &mut Draft, now: DateTime<Utc>) {
    draft.set_note(ROTATE_AT, Some(written(years_from(now, CA_YEARS - CA_YEARS_LEFT_MIN))));
}

/// One whose time nobody knows counts as due.
fn is_due(draft: &Draft, name: &str, now: DateTime<Utc>) -> bool {
    noted(draft, name).is_none_or(|at| now >= at)
}

fn noted(draft: &Draft, name: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(draft.note(name)?).ok().map(|at| at.to_utc())
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn years_from(now: DateTime<Utc>, years: u32) -> DateTime<Utc> {
    now + Months::new(12 * years)
}
