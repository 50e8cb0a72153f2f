-- Whoever can log in: an id, a version and one sealed body with the name, the roles and the password's hash. The row outlives the
-- account's deletion, without its body: a name once used is never used again.
create table account (
    id              text    not null primary key,
    -- The user name, as a keyed hash.
    name_index      blob    not null unique,
    version         integer not null,
    created_at      text    not null,
    updated_at      text    not null,
    signed_in_at    text,
    deleted_at      text,
    -- What the body says too, here only to be found by: is there another administrator, whose account was this patient's?
    is_active_admin integer not null,
    patient_id      text,
    provider_id     text,
    body            blob,
    check ((body is null) = (deleted_at is not null))
) strict;

create index account_created_idx on account (created_at, id) where deleted_at is null;
create index account_active_admin_idx on account (id) where is_active_admin;
create index account_patient_idx on account (patient_id) where patient_id is not null;
create index account_provider_idx on account (provider_id) where provider_id is not null;

-- From a login until it ends: its access tokens carry its id as `sid`.
create table session (
    id               text not null primary key,
    account_id       text not null references account (id),
    created_at       text not null,
    -- When the last access token issued to it expires: so long must its end be known everywhere.
    token_expires_at text not null,
    -- It ends when it is not refreshed by then…
    idle_until       text not null,
    -- …and by then however often it is refreshed.
    expires_at       text not null,
    ended_at         text
) strict;

create index session_account_idx on session (account_id) where ended_at is null;
create index session_idle_idx on session (idle_until);

-- Every refresh token that a session ever had, as a hash: an old one that comes again gives a theft away.
create table refresh_token (
    hash       blob not null primary key,
    session_id text not null references session (id) on delete cascade,
    used_at    text,
    -- The token it was exchanged for, sealed, until that one is used in turn: for a client that lost the answer.
    successor  blob
) strict;

create index refresh_token_session_idx on refresh_token (session_id);

-- Attempts at a password, counted before they are evaluated. The key is a keyed hash of an account's name, of an address, or of both.
create table attempt (
    key            blob    not null primary key,
    tries          integer not null,
    since          text    not null,
    locks          integer not null,
    locked_until   text,
    familiar_until text,
    expires_at     text    not null
) strict;

create index attempt_expires_idx on attempt (expires_at);

-- Sessions that ended while a token of theirs had not expired.
create table revocation (
    seq        integer not null primary key,
    session_id text    not null unique,
    expires_at text    not null
) strict;

create index revocation_expires_idx on revocation (expires_at);

-- The last number given. Whoever takes one holds the row until the commit, so the order of numbers is the order of commits, and a
-- reader that has seen a number has seen all before it.
create table revocation_counter (
    id   integer not null primary key check (id = 1),
    last integer not null
) strict;

insert into revocation_counter (id, last) values (1, 0);
