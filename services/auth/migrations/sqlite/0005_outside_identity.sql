-- Accounts that belong to somebody whom an outside identity provider knows, each by a keyed hash of who issued it and whom it means. Such an
-- account has a password that nobody knows. A version that does not know these tables lets nobody in by them.
create table outside_identity (
    identity_index blob not null primary key,
    account_id     text not null unique references account (id),
    -- What the stack calls the provider.
    provider       text not null,
    tied_at        text not null
) strict;

-- Logins at a provider that were begun: under a hash of what the client holds, sealed, what it takes to finish them.
create table outside_flow (
    flow_hash  blob    not null primary key,
    expires_at text    not null,
    -- Whether the provider has said who it is, and a code of ours is still to come.
    is_proven  integer not null,
    body       blob    not null
) strict;

create index outside_flow_expires_idx on outside_flow (expires_at);

-- Whether the provider has asked for a second factor, so that ours is not asked for. An older version writes nothing, and asks.
alter table session add column proven_outside integer;
