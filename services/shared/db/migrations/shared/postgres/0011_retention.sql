-- What is kept of patients who were deleted: for its years, or while they are under legal hold. It is in no list of what is in use. Each is one
-- sealed body, under the key of the year with which it goes, or of the hold.
create table retained (
    kind       text collate "C" not null,
    id         text collate "C" not null,
    patient    text collate "C" not null,
    -- The year from which its years count, and the last one in which it is kept; null: it is the hold alone that keeps it.
    from_year  bigint not null,
    until_year bigint,
    -- The version of the hold under whose key it is.
    hold       bigint,
    body       bytea  not null,
    primary key (kind, id),
    check ((until_year is null) = (hold is not null))
);

create index retained_patient_idx on retained (patient, kind, id);

-- Whom a legal hold is on, and on whom there was one. Versions count its changes: an older one does not come after a newer.
create table legal_hold (
    patient   text    not null primary key,
    version   bigint  not null,
    is_active boolean not null,
    until     timestamptz
);
