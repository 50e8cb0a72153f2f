//! The managed database's certificate, in one Secret with the CA that vouches for it and for nothing else. PostgreSQL is shown the
//! certificate and not the CA's key; its clients are shown whom to believe, each in the Secret with its login.

use chrono::TimeDelta;
use stack::names;
use tls::issue::{Subject, Use};

use super::authority::{Purpose, authority, service_hosts};
use super::draft::Book;
use super::rotation::DATABASE_TLS;
use super::{Lifetime, Planned, Refusal, Request};

const CA: Purpose = Purpose {
    title: "Healthcare Stack database CA",
    what: DATABASE_TLS,
    // A pod sees a changed Secret a minute later, and PostgreSQL reads it some seconds after that.
    overlap: TimeDelta::minutes(10),
};

/// Makes or renews it. Gives what clients should believe.
pub(super) fn certificate(
    request: &Request<'_>,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<String, Refusal> {
    let mut draft = book.open(names::DATABASE_TLS, Lifetime::Stack);
    let ca = authority(&mut draft, request, planned, &CA)?;
    let host = names::object(&request.stack.name, names::POSTGRES);
    let hosts = service_hosts(&host, &request.stack.namespace);
    let subject = Subject { name: "Healthcare Stack database", hosts, uses: &[Use::Server] };
    ca.certify(&mut draft, request, planned, subject)?;
    book.close(draft);
    Ok(ca.believed)
}
