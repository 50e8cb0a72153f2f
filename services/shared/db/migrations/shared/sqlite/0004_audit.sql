-- Chains of entries, begun anew by each process, and each day. One that is finished gets no more entries.
create table audit_chain (
    chain     text    not null primary key,
    opened_at text    not null,
    finished  integer not null
) strict;

create index audit_chain_unfinished on audit_chain (opened_at) where not finished;

-- Who did what. `body` is sealed; `who` and `patients` are keyed hashes in hexadecimal, the latter one after another. `mac` is keyed and
-- covers all of the row and the `mac` before it.
create table audit (
    chain      text    not null,
    seq        integer not null,
    at         text    not null,
    generation integer not null,
    operation  text    not null,
    outcome    text    not null,
    who        text    not null,
    patients   text    not null,
    body       blob    not null,
    mac        blob    not null,
    primary key (chain, seq)
) strict;

create index audit_at on audit (at);

-- The same by patient, to be looked up.
create table audit_patient (
    patient text    not null,
    at      text    not null,
    chain   text    not null,
    seq     integer not null,
    primary key (patient, at, chain, seq)
) strict, without rowid;

-- Signed stretches of a chain: the first 16 bytes of each `mac` from `from_seq` to `seq`.
create table audit_checkpoint (
    chain     text    not null,
    seq       integer not null,
    from_seq  integer not null,
    at        text    not null,
    mac       blob    not null,
    macs      blob    not null,
    digest    blob    not null,
    signer    text    not null,
    signature blob    not null,
    primary key (chain, seq)
) strict;
