-- The key-encryption keys that data keys are, or were, wrapped under. `wraps` is the id again for as long as a key may be wrapped under
-- it, and null from then on. So the database itself sees to it that none is retired while a row needs it, and that no row is ever
-- wrapped under one that is: not even by a process that has not heard of it yet.
create table kek (
    id         text primary key not null,
    wraps      text unique,
    retired_at text,
    check (wraps = id),
    check ((wraps is null) = (retired_at is not null))
) strict;

insert into kek (id, wraps) select distinct kek_id, kek_id from data_key where kek_id is not null;

-- A table that is there cannot be given a reference: it is made anew.
create table data_key_2 (
    subject      text    not null,
    generation   integer not null,
    wrapped      blob,
    kek_id       text references kek (wraps),
    created_at   text    not null,
    expires_at   text,
    destroyed_at text,
    primary key (subject, generation),
    check ((destroyed_at is null) = (wrapped is not null)),
    check ((wrapped is null) = (kek_id is null))
) strict;

insert into data_key_2 (subject, generation, wrapped, kek_id, created_at, expires_at, destroyed_at)
select subject, generation, wrapped, kek_id, created_at, expires_at, destroyed_at from data_key;

drop table data_key;
alter table data_key_2 rename to data_key;
create index data_key_expiring on data_key (expires_at) where destroyed_at is null;
