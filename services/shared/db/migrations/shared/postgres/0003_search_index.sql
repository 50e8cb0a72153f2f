-- What sealed rows are found by: keyed hashes of names, phones, mail addresses. `owner` is the row's id in its own table; the field's
-- name is part of the hash.
create table search_index (
    token bytea not null,
    owner text  not null,
    primary key (token, owner)
);

create index search_index_owner_idx on search_index (owner);
