-- How far each chain of the audit is known to reach, and by whose signature: apart from the chains themselves, so that what is cut off
-- at their end is missed.
create table audit_head (
    chain     text    not null primary key,
    seq       integer not null,
    mac       blob    not null,
    digest    blob    not null,
    at        text    not null,
    signer    text    not null,
    signature blob    not null
) strict;
