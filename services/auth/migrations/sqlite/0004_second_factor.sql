-- A second factor: codes that an app makes from a secret and the time (RFC 6238). What is offered is none until a first code has shown that
-- it arrived. A version that does not know these tables asks nobody for a code.
create table second_factor (
    account_id    text    not null primary key references account (id),
    -- The secret, sealed.
    secret        blob,
    enrolled_at   text,
    -- The half minute, counted from 1970, whose code was used last: neither it nor an earlier one is good any more.
    last_step     integer not null,
    -- Wrong codes with the right password, since a right code.
    failures      integer not null,
    -- The secret that was offered last, sealed, and until when it may be confirmed.
    offer         blob,
    offered_until text,
    check ((secret is null) = (enrolled_at is null)),
    check ((offer is null) = (offered_until is null))
) strict;

create index second_factor_offered_idx on second_factor (offered_until) where offered_until is not null;

-- Recovery codes that were not used yet, each as a keyed hash.
create table recovery_code (
    account_id text not null references account (id),
    hash       blob not null,
    primary key (account_id, hash)
) strict;
