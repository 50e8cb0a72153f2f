//! The certificates by which the parts of a stack know each other, each in a Secret of its own, and the CA that vouches for them and for
//! nothing else, in another. A part's certificate is good for being called by its Service's names, and for calling.

use chrono::TimeDelta;
use settings::ServiceName;
use stack::names;
use tls::issue::{Subject, Use};

use super::authority::{BELIEVED, Purpose, authority, service_hosts, take_up};
use super::draft::Book;
use super::rotation::INTERNAL_TLS;
use super::{Lifetime, Planned, Refusal, Request};

const CA: Purpose = Purpose {
    title: "Healthcare Stack internal CA",
    what: INTERNAL_TLS,
    // By then every pod was replaced, and shows a certificate of the new one. A node that was a little late with the Secret of a new pod is
    // not by more than this.
    overlap: TimeDelta::minutes(2),
};

/// Makes or renews them.
pub(super) fn certificates(
    request: &Request<'_>,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<(), Refusal> {
    let mut draft = book.open(names::INTERNAL_CA, Lifetime::Stack);
    if draft.is_new()
        && let Some(believed) = parts().find_map(|part| book.there(&names::tls(part), BELIEVED))
    {
        take_up(&mut draft, request, &CA, &believed)?;
    }
    let ca = authority(&mut draft, request, planned, &CA)?;
    // Before what it vouches for: a Secret that is not written now is made by the next attempt, and by the same CA.
    book.close(draft);
    for part in parts() {
        let mut draft = book.open(&names::tls(part), Lifetime::Stack);
        let service = names::object(&request.stack.name, part);
        let hosts = service_hosts(&service, &request.stack.namespace);
        let subject = Subject { name: part, hosts, uses: &[Use::Server, Use::Client] };
        ca.certify(&mut draft, request, planned, subject)?;
        book.close(draft);
    }
    Ok(())
}

/// All of them, switched on or not: one that is switched on has its certificate already.
fn parts() -> impl Iterator<Item = &'static str> {
    ServiceName::ALL.into_iter().map(ServiceName::as_str).chain([names::API_GATEWAY])
}
