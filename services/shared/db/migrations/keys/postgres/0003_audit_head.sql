-- How far each chain of the audit is known to reach, and by whose signature: apart from the chains themselves, so that what is cut off
-- at their end is missed.
create table audit_head (
    chain     text        not null collate "C" primary key,
    seq       bigint      not null,
    mac       bytea       not null,
    digest    bytea       not null,
    at        timestamptz not null,
    signer    text        not null,
    signature bytea       not null
);
