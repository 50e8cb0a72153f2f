-- Chains of entries, begun anew by each process, and each day. One that is finished gets no more entries.
create table audit_chain (
    chain     text        not null collate "C" primary key,
    opened_at timestamptz not null,
    finished  boolean     not null
);

create index audit_chain_unfinished on audit_chain (opened_at) where not finished;

-- Who did what. `body` is sealed; `who` and `patients` are keyed hashes in hexadecimal, the latter one after another. `mac` is keyed and
-- covers all of the row and the `mac` before it.
create table audit (
    chain      text        not null collate "C",
    seq        bigint      not null,
    at         timestamptz not null,
    generation bigint      not null,
    operation  text        not null,
    outcome    text        not null,
    who        text        not null collate "C",
    patients   text        not null,
    body       bytea       not null,
    mac        bytea       not null,
    primary key (chain, seq)
);

create index audit_at on audit (at);

-- The same by patient, to be looked up.
create table audit_patient (
    patient text        not null collate "C",
    at      timestamptz not null,
    chain   text        not null collate "C",
    seq     bigint      not null,
    primary key (patient, at, chain, seq)
);

-- Signed stretches of a chain: the first 16 bytes of each `mac` from `from_seq` to `seq`.
create table audit_checkpoint (
    chain     text        not null collate "C",
    seq       bigint      not null,
    from_seq  bigint      not null,
    at        timestamptz not null,
    mac       bytea       not null,
    macs      bytea       not null,
    digest    bytea       not null,
    signer    text        not null,
    signature bytea       not null,
    primary key (chain, seq)
);
