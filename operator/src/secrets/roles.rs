//! The stack's roles in the database, and the Secrets with which they connect.
//!
//! Each service has an owner role, which owns its two schemas and cannot log in, and one of two logins, `_a` and `_b`, that act as the
//! owner. A new password comes with the other login: whoever still has the old one works on until the rotation is over. A reader, of the
//! same build, takes the backups.

use chrono::TimeDelta;
use contracts::ambient::Random;
use http_kit::generate;
use settings::{Database, ServiceName};
use stack::plan::Placement;
use stack::{Stack, names, plan_service};

use super::draft::{Book, Draft};
use super::rotation::{DATABASE_ROLES, Step, Terms, advance};
use super::scram::Verifiers;
use super::server::Server;
use super::setup::{self, Login, Owner};
use super::{Lifetime, Planned, Refusal, Request};
use crate::digest::digest;

/// The administrator's SQL.
const SETUP: &str = "setup.sql";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const NEXT_USERNAME: &str = "next-username";
const NEXT_PASSWORD: &str = "next-password";
const PREVIOUS_USERNAME: &str = "previous-username";
const PREVIOUS_PASSWORD: &str = "previous-password";

/// The role that takes backups.
const READER: &str = "reader";
const READER_CONNECTIONS: u32 = 4;

/// Makes every role's Secret, and the administrator's with the SQL that makes the roles.
pub(super) fn roles(
    request: &Request<'_>,
    server: &Server,
    book: &mut Book<'_>,
    planned: &mut Planned,
) -> Result<(), Refusal> {
    let mut admin = book.open(names::DATABASE_ADMIN, Lifetime::Stack);
    let sql_before = admin.text(SETUP).unwrap_or_default().to_owned();
    let known = Verifiers::read(&sql_before);
    let mut owners = Vec::new();
    for service in ServiceName::ALL {
        let name = role_name(request.stack, service.short());
        let (mut draft, logins) = rotated(request, book, &known, &names::database(service), &name)?;
        let url = server.url(draft.text(USERNAME)?, draft.text(PASSWORD)?);
        draft.set("url", url);
        draft.set("ca.crt", server.ca.clone());
        finish(draft, book, planned);
        owners.push(Owner {
            name,
            schemas: schemas(service).to_vec(),
            logins,
            connections: connections(request.stack, service),
        });
    }
    let name = role_name(request.stack, READER);
    let (mut draft, logins) = rotated(request, book, &known, names::DATABASE_READER, &name)?;
    let service_file = server.role_service_file(draft.text(USERNAME)?, draft.text(PASSWORD)?);
    draft.set("pg_service.conf", service_file);
    draft.set("ca.crt", server.ca.clone());
    finish(draft, book, planned);
    let reader = Owner { name, schemas: Vec::new(), logins, connections: READER_CONNECTIONS };

    admin.set("pg_service.conf", server.admin_service_file());
    admin.set("ca.crt", server.ca.clone());
    admin.set(SETUP, setup::sql(&owners, &reader, is_ours(request.stack)));
    book.close(admin);
    Ok(())
}

/// The two schemas of a service.
pub fn schemas(service: ServiceName) -> [String; 2] {
    let short = service.short();
    [short.to_owned(), format!("{short}_keys")]
}

/// The role that owns a service's schemas. On a server of somebody else's, where other stacks may be, its name tells them apart: roles
/// belong to a whole server, not to one database.
pub fn role_name(stack: &Stack, short: &str) -> String {
    if is_ours(stack) {
        return short.to_owned();
    }
    let mut mark = digest(format!("{}/{}", stack.namespace, stack.name).as_bytes());
    mark.truncate(10);
    format!("{short}_{mark}")
}

/// Whether the server is the stack's alone.
pub(super) const fn is_ours(stack: &Stack) -> bool {
    !matches!(stack.database, stack::Database::External(_))
}

/// During a rollout old and new pods hold connections side by side, and a migration holds some too.
fn connections(stack: &Stack, service: ServiceName) -> u32 {
    let of_a_pod = match plan_service(stack, service, &Placement::Kubernetes).database {
        Database::Postgres { max_connections, .. } => max_connections,
        Database::Sqlite { .. } => 1,
    };
    let pods = stack.services.get(&service).map_or(1, |service| service.scale.max()).max(1);
    2 * of_a_pod * pods + 4
}

/// A role's Secret after whatever its rotation asks for, and the logins that the server should know.
fn rotated(
    request: &Request<'_>,
    book: &Book<'_>,
    known: &Verifiers<'_>,
    part: &str,
    owner: &str,
) -> Result<(Draft, Vec<Login>), Refusal> {
    let mut draft = book.open(part, Lifetime::Stack);
    if !(draft.has(USERNAME) && draft.has(PASSWORD)) {
        set(&mut draft, USERNAME, PASSWORD, format!("{owner}_a"), request.random);
    }
    match advance(
        &mut draft,
        request,
        &Terms { what: DATABASE_ROLES, due: false, overlap: TimeDelta::zero() },
    )? {
        Step::Stay => {}
        Step::Publish => {
            let other = if draft.text(USERNAME)?.ends_with("_a") { "b" } else { "a" };
            set(&mut draft, NEXT_USERNAME, NEXT_PASSWORD, format!("{owner}_{other}"), request.random);
        }
        Step::Use => {
            shift(&mut draft, USERNAME, PREVIOUS_USERNAME)?;
            shift(&mut draft, PASSWORD, PREVIOUS_PASSWORD)?;
            shift(&mut draft, NEXT_USERNAME, USERNAME)?;
            shift(&mut draft, NEXT_PASSWORD, PASSWORD)?;
        }
        Step::Retire => {
            draft.take(PREVIOUS_USERNAME);
            draft.take(PREVIOUS_PASSWORD);
        }
    }
    let pairs =
        [(USERNAME, PASSWORD), (NEXT_USERNAME, NEXT_PASSWORD), (PREVIOUS_USERNAME, PREVIOUS_PASSWORD)];
    let mut logins = Vec::new();
    for (username, password) in pairs {
        if draft.has(username) {
            logins.push(Login::new(draft.text(username)?, draft.text(password)?, known));
        }
    }
    Ok((draft, logins))
}

fn set(draft: &mut Draft, username: &str, password: &str, name: String, random: &Random) {
    draft.set(username, name);
    draft.set(password, generate::password(random));
}

fn shift(draft: &mut Draft, from: &str, to: &str) -> Result<(), Refusal> {
    let value = draft.take(from).ok_or_else(|| draft.damaged(from))?;
    draft.set(to, value);
    Ok(())
}

fn finish(draft: Draft, book: &mut Book<'_>, planned: &mut Planned) {
    planned.note(&draft, TimeDelta::zero());
    book.close(draft);
}

/// The superuser of a managed server: PostgreSQL's own name for it, and a password made here.
pub(super) fn superuser(request: &Request<'_>, book: &mut Book<'_>, ca: String) -> Result<Server, Refusal> {
    let mut draft = book.open(names::POSTGRES, Lifetime::Stack);
    if !draft.has(PASSWORD) {
        draft.set(PASSWORD, generate::password(request.random));
    }
    let server = Server {
        host: names::object(&request.stack.name, names::POSTGRES),
        port: 5432,
        database: setup::DATABASE.to_owned(),
        user: "postgres".to_owned(),
        password: draft.text(PASSWORD)?.to_owned(),
        ca,
        checks_host: true,
    };
    book.close(draft);
    Ok(server)
}
