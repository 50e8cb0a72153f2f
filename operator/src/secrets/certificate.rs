//! The managed database's certificate, and the CA that vouches for it and for nothing else.
//!
//! ```text
//! ca.crt                        what clients believe: the present CA, and during a rotation the next or the previous one beside it
//! tls.crt, tls.key              the server's certificate, signed by the present CA: one year, renewed when a third of it is left
//! signer.crt, signer.key        the present CA: ten years, rotated when two are left. The database's pod does not see it
//! next-…, previous-…            during a rotation of the CA
//! ```

use chrono::{DateTime, Datelike, Months, SecondsFormat, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use stack::names;

use super::draft::{Book, Draft};
use super::rotation::{DATABASE_TLS, Step, Terms, advance};
use super::{Lifetime, Planned, Refusal, Request};

const CA_YEARS: u32 = 10;
const CA_YEARS_LEFT_MIN: u32 = 2;
const LEAF_MONTHS: u32 = 12;
const LEAF_MONTHS_LEFT_MIN: u32 = 4;
/// A pod sees a changed Secret a minute later, and PostgreSQL reads it some seconds after that.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// On the Secret: when the server's certificate is made anew.
const RENEW_AT: &str = "healthcarestack.dev/renew-at";
/// On the Secret: when the CA is.
const ROTATE_AT: &str = "healthcarestack.dev/rotate-at";

const SIGNER: &str = "signer.crt";
const SIGNER_KEY: &str = "signer.key";
const NEXT: &str = "next-signer.crt";
const NEXT_KEY: &str = "next-signer.key";
const PREVIOUS: &str = "previous-signer.crt";

/// Makes or renews it. Gives what clients should believe.
pub(super) fn certificate(
    request: &Request<'_>,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<String, Refusal> {
    let mut draft = book.open(names::DATABASE_TLS, Lifetime::Stack);
    let now = request.now;
    if !(draft.has(SIGNER) && draft.has(SIGNER_KEY)) {
        make_ca(&mut draft, now, SIGNER, SIGNER_KEY)?;
        draft.set_note(ROTATE_AT, Some(written(years_from(now, CA_YEARS - CA_YEARS_LEFT_MIN))));
    }
    let due = is_due(&draft, ROTATE_AT, now);
    let step = advance(&mut draft, request, &Terms { what: DATABASE_TLS, due, overlap: OVERLAP })?;
    match step {
        Step::Stay => {}
        Step::Publish => make_ca(&mut draft, now, NEXT, NEXT_KEY)?,
        Step::Use => {
            let (next, key) = (draft.take(NEXT), draft.take(NEXT_KEY));
            let (Some(next), Some(key)) = (next, key) else { return Err(draft.damaged(NEXT)) };
            let previous = draft.take(SIGNER).unwrap_or_default();
            draft.set(PREVIOUS, previous);
            draft.set(SIGNER, next);
            draft.set(SIGNER_KEY, key);
            draft.set_note(ROTATE_AT, Some(written(years_from(now, CA_YEARS - CA_YEARS_LEFT_MIN))));
        }
        Step::Retire => drop(draft.take(PREVIOUS)),
    }
    let host = names::object(&request.stack.name, names::POSTGRES);
    if step == Step::Use || !draft.has("tls.crt") || !draft.has("tls.key") || is_due(&draft, RENEW_AT, now) {
        make_leaf(&mut draft, now, &host, &request.stack.namespace)?;
        let renew_at = now + Months::new(LEAF_MONTHS - LEAF_MONTHS_LEFT_MIN);
        draft.set_note(RENEW_AT, Some(written(renew_at)));
    }
    let mut believed = draft.text(SIGNER)?.to_owned();
    for other in [NEXT, PREVIOUS] {
        if draft.has(other) {
            believed.push_str(draft.text(other)?);
        }
    }
    draft.set("ca.crt", believed.clone());
    for at in [RENEW_AT, ROTATE_AT] {
        planned.wake(noted(&draft, at).unwrap_or(now));
    }
    planned.note(&draft, OVERLAP);
    book.close(draft);
    Ok(believed)
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

fn make_ca(draft: &mut Draft, now: DateTime<Utc>, certificate: &str, key: &str) -> Result<(), Refusal> {
    let pair = KeyPair::generate().map_err(|_| draft.damaged(key))?;
    let params = ca_params(&pair, now);
    let made = params.self_signed(&pair).map_err(|_| draft.damaged(certificate))?;
    draft.set(certificate, made.pem());
    draft.set(key, pair.serialize_pem());
    Ok(())
}

/// A CA's name has its key's digest in it, so that nobody takes one CA for another during a rotation.
fn ca_params(pair: &KeyPair, now: DateTime<Utc>) -> CertificateParams {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.public_key_raw());
    let mut params = CertificateParams::default();
    let name =
        format!("Healthcare Stack database CA {}", data_encoding::HEXLOWER.encode(&digest.as_ref()[..8]));
    params.distinguished_name = named(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, now, years_from(now, CA_YEARS));
    params
}

fn make_leaf(draft: &mut Draft, now: DateTime<Utc>, host: &str, namespace: &str) -> Result<(), Refusal> {
    let signer = KeyPair::from_pem(draft.text(SIGNER_KEY)?).map_err(|_| draft.damaged(SIGNER_KEY))?;
    // Only its name and its key's identifier go into what it signs, and both come from the key.
    let issuer = Issuer::new(ca_params(&signer, now), signer);
    let names = [
        "",
        &format!(".{namespace}"),
        &format!(".{namespace}.svc"),
        &format!(".{namespace}.svc.cluster.local"),
    ];
    let names: Vec<_> = names.iter().map(|domain| format!("{host}{domain}")).collect();
    let pair = KeyPair::generate().map_err(|_| draft.damaged("tls.key"))?;
    let mut params = CertificateParams::new(names).map_err(|_| draft.damaged("tls.crt"))?;
    params.distinguished_name = named("Healthcare Stack database");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, now + Months::new(LEAF_MONTHS));
    let made = params.signed_by(&pair, &issuer).map_err(|_| draft.damaged("tls.crt"))?;
    draft.set("tls.crt", made.pem());
    draft.set("tls.key", pair.serialize_pem());
    Ok(())
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From the day before, since clocks differ.
fn valid(params: &mut CertificateParams, from: DateTime<Utc>, to: DateTime<Utc>) {
    let day = |at: DateTime<Utc>| {
        let month = u8::try_from(at.month()).unwrap_or(1);
        date_time_ymd(at.year(), month, u8::try_from(at.day()).unwrap_or(1))
    };
    params.not_before = day(from - TimeDelta::days(1));
    params.not_after = day(to);
}
