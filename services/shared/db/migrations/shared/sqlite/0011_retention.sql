-- What is kept of patients who were deleted: for its years, or while they are under legal hold. It is in no list of what is in use. Each is one
-- sealed body, under the key of the year with which it goes, or of the hold.
create table retained (
    kind       text    not null,
    id         text    not null,
    patient    text    not null,
    -- The year from which its years count, and the last one in which it is kept; null: it is the hold alone that keeps it.
    from_year  integer not null,
    until_year integer,
    -- The version of the hold under whose key it is.
    hold       integer,
    body       blob   not null,
    primary key (kind, id),
    check ((until_year is null) = (hold is not null))
) strict;

create index retained_patient_idx on retained (patient, kind, id);

-- Whom a legal hold is on, and on whom there was one. Versions count its changes: an older one does not come after a newer.
create table legal_hold (
    patient   text    not null primary key,
    version   integer  not null,
    is_active integer not null,
    until     text
) strict;
