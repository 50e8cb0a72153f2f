-- The key-encryption keys that data keys are, or were, wrapped under. `wraps` is the id again for as long as a key may be wrapped under
-- it, and null from then on. So the database itself sees to it that none is retired while a row needs it, and that no row is ever
-- wrapped under one that is: not even by a process that has not heard of it yet.
create table kek (
    id         text primary key,
    wraps      text unique,
    retired_at timestamptz,
    check (wraps = id),
    check ((wraps is null) = (retired_at is not null))
);

insert into kek (id, wraps) select distinct kek_id, kek_id from data_key where kek_id is not null;

alter table data_key add foreign key (kek_id) references kek (wraps);
