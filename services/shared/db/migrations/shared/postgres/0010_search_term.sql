-- What sealed rows are found by, in the place of `search_index`: keyed hashes of names, phones, mail addresses, of the first twelve bytes and in
-- base64. `owner` is the row's id in its own table. Field and, but for what is nearly unique, chest of the owner are part of the hash (ADR 24).
create table search_term (
    token text collate "C" not null,
    owner text             not null,
    primary key (token, owner)
);

create index search_term_owner_idx on search_term (owner);

-- `search_index` stays for what the version before this one writes while both run: its rows are moved from there.
