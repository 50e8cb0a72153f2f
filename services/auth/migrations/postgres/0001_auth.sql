-- Whoever can log in: an id, a version and one sealed body with the name, the roles and the password's hash. The row outlives the
-- account's deletion, without its body: a name once used is never used again.
create table account (
    id              text collate "C" not null primary key,
    -- The user name, as a keyed hash.
    name_index      bytea            not null unique,
    version         bigint           not null,
    created_at      timestamptz      not null,
    updated_at      timestamptz      not null,
    signed_in_at    timestamptz,
    deleted_at      timestamptz,
    -- What the body says too, here only to be found by: is there another administrator, whose account was this patient's?
    is_active_admin boolean          not null,
    patient_id      text,
    provider_id     text,
    body            bytea,
    check ((body is null) = (deleted_at is not null))
);

create index account_created_idx on account (created_at, id) where deleted_at is null;
create index account_active_admin_idx on account (id) where is_active_admin;
create index account_patient_idx on account (patient_id) where patient_id is not null;
create index account_provider_idx on account (provider_id) where provider_id is not null;

-- From a login until it ends: its access tokens carry its id as `sid`.
create table session (
    id               text        not null primary key,
    account_id       text        not null references account (id),
    created_at       timestamptz not null,
    -- When the last access token issued to it expires: so long must its end be known everywhere.
    token_expires_at timestamptz not null,
    -- It ends when it is not refreshed by then…
    idle_until       timestamptz not null,
    -- …and by then however often it is refreshed.
    expires_at       timestamptz not null,
    ended_at         timestamptz
);

create index session_account_idx on session (account_id) where ended_at is null;
create index session_idle_idx on session (idle_until);

-- Every refresh token that a session ever had, as a hash: an old one that comes again gives a theft away.
create table refresh_token (
    hash       bytea       not null primary key,
    session_id text        not null references session (id) on delete cascade,
    used_at    timestamptz,
    -- The token it was exchanged for, sealed, until that one is used in turn: for a client that lost the answer.
    successor  bytea
);

create index refresh_token_session_idx on refresh_token (session_id);

-- Attempts at a password, counted before they are evaluated. The key is a keyed hash of an account's name, of an address, or of both.
create table attempt (
    key            bytea       not null primary key,
    tries          bigint      not null,
    since          timestamptz not null,
    locks          bigint      not null,
    locked_until   timestamptz,
    familiar_until timestamptz,
    expires_at     timestamptz not null
);

create index attempt_expires_idx on attempt (expires_at);

-- Sessions that ended while a token of theirs had not expired.
create table revocation (
    seq        bigint      not null primary key,
    session_id text        not null unique,
    expires_at timestamptz not null
);

create index revocation_expires_idx on revocation (expires_at);

-- The last number given. Whoever takes one holds the row until the commit, so the order of numbers is the order of commits, and a
-- reader that has seen a number has seen all before it.
create table revocation_counter (
    id   bigint not null primary key check (id = 1),
    last bigint not null
);

insert into revocation_counter (id, last) values (1, 0);
