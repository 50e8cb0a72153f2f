//! [`sql`]: what makes roles and schemas, however often it is run.
//!
//! One transaction, run by `psql` as the server's administrator. It holds verifiers and no password. What is there and right is left as it
//! is; a schema that belongs to somebody else is an error rather than taken over.

use std::fmt::Write;

use super::scram::Verifiers;

/// The database of a server that the operator runs.
pub const DATABASE: &str = "healthcare";

/// A role that owns schemas, and those who may act as it.
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) schemas: Vec<String>,
    pub(super) logins: Vec<Login>,
    pub(super) connections: u32,
}

/// A role that logs in.
pub(super) struct Login {
    name: String,
    verifier: String,
}

impl Login {
    pub(super) fn new(name: &str, password: &str, known: &Verifiers<'_>) -> Self {
        Self { verifier: known.verifier(name, password), name: name.to_owned() }
    }
}

/// The whole of it. `ours`: the server is the stack's alone, so that nobody else's access is in the way of closing it.
///
/// Names are put between quotes as they are: they are made in this crate, of small letters, digits and underscores.
pub(super) fn sql(owners: &[Owner], reader: &Owner, ours: bool) -> String {
    let mut sql = String::from(BEGIN);
    if ours {
        sql.push_str(CLOSE);
    }
    sql.push_str(EXTENSION);
    for owner in owners.iter().chain([reader]) {
        role(&mut sql, owner);
        for schema in &owner.schemas {
            sql.push_str(&SCHEMA.replace("$owner", &owner.name).replace("$schema", schema));
        }
    }
    for owner in owners {
        for schema in &owner.schemas {
            let granted = READ.replace("$owner", &owner.name).replace("$schema", schema);
            sql.push_str(&granted.replace("$reader", &reader.name));
        }
    }
    sql.push_str("commit;\n");
    sql
}

fn role(sql: &mut String, owner: &Owner) {
    sql.push_str(&OWNER.replace("$owner", &owner.name));
    for login in &owner.logins {
        let limit = owner.connections.to_string();
        let text = LOGIN.replace("$owner", &owner.name).replace("$login", &login.name);
        sql.push_str(&text.replace("$limit", &limit).replace("$verifier", &login.verifier));
    }
    for letter in ["a", "b"] {
        let name = format!("{}_{letter}", owner.name);
        if owner.logins.iter().all(|login| login.name != name) {
            let _ = write!(sql, "{}", RETIRED.replace("$login", &name));
        }
    }
}

/// Two that run at once wait for each other: they would meet on the same rows of the catalogue.
const BEGIN: &str = r"\set ON_ERROR_STOP on
set client_min_messages = warning;
set password_encryption = 'scram-sha-256';
begin;
do $$ begin perform pg_advisory_xact_lock(7405925160741930); end $$;
";

/// Whoever is not named further down may not even connect.
const CLOSE: &str = r"do $$ begin
  execute format('revoke all on database %I from public', current_database());
end $$;
revoke all on database postgres from public;
revoke all on database template1 from public;
revoke create on schema public from public;
";

/// What keeps an appointment from being booked twice.
const EXTENSION: &str = "create extension if not exists btree_gist schema public;\n";

/// The administrator becomes a member: it needs not be a superuser, and makes schemas for this role.
const OWNER: &str = r#"
do $$ begin
  if not exists (select from pg_roles where rolname = '$owner') then
    create role "$owner" nologin;
  end if;
  if not pg_has_role(current_user, '$owner', 'usage') then
    grant "$owner" to current_user;
  end if;
  execute format('grant connect on database %I to "$owner"', current_database());
end $$;
"#;

const LOGIN: &str = r#"do $$ begin
  if not exists (select from pg_roles where rolname = '$login') then
    create role "$login" login;
  end if;
  if not exists (select from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles l on l.oid = m.member
                 where r.rolname = '$owner' and l.rolname = '$login') then
    grant "$owner" to "$login";
  end if;
end $$;
alter role "$login" login connection limit $limit password '$verifier';
alter role "$login" set role = '$owner';
"#;

const RETIRED: &str = r#"do $$ begin
  if exists (select from pg_roles where rolname = '$login') then
    alter role "$login" nologin password null;
  end if;
end $$;
"#;

const SCHEMA: &str = r#"do $$ begin
  if not exists (select from pg_namespace where nspname = '$schema') then
    create schema "$schema" authorization "$owner";
  elsif not exists (select from pg_namespace n join pg_roles r on r.oid = n.nspowner
                    where n.nspname = '$schema' and r.rolname = '$owner') then
    raise exception 'schema $schema belongs to another role than $owner: is another stack in this database?';
  end if;
end $$;
revoke all on schema "$schema" from public;
"#;

const READ: &str = r#"grant usage on schema "$schema" to "$reader";
grant select on all tables in schema "$schema" to "$reader";
grant select on all sequences in schema "$schema" to "$reader";
alter default privileges for role "$owner" in schema "$schema" grant select on tables to "$reader";
alter default privileges for role "$owner" in schema "$schema" grant select on sequences to "$reader";
"#;
