-- A subject's data key, wrapped by the key-encryption key. Destroying a key wipes `wrapped` and keeps the row, so that
-- the subject never gets another.
create table data_key (
    subject      text    not null,
    generation   integer not null,
    wrapped      blob,
    kek_id       text,
    created_at   text    not null,
    expires_at   text,
    destroyed_at text,
    primary key (subject, generation),
    check ((destroyed_at is null) = (wrapped is not null)),
    check ((wrapped is null) = (kek_id is null))
) strict;

create index data_key_expiring on data_key (expires_at) where destroyed_at is null;
