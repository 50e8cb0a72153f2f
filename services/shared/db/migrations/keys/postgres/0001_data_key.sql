-- A subject's data key, wrapped by the key-encryption key. Destroying a key wipes `wrapped` and keeps the row, so that
-- the subject never gets another.
create table data_key (
    subject      text        not null,
    generation   bigint      not null,
    wrapped      bytea,
    kek_id       text,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    destroyed_at timestamptz,
    primary key (subject, generation),
    check ((destroyed_at is null) = (wrapped is not null)),
    check ((wrapped is null) = (kek_id is null))
);

create index data_key_expiring on data_key (expires_at) where destroyed_at is null;
