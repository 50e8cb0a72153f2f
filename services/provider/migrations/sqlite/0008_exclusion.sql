-- Lists of those whom federal programmes exclude: that which counts, and one whose parts are still coming.
create table exclusion_list (
    edition    text not null primary key,
    parts      integer not null,
    is_current integer not null,
    updated_at text not null
) strict;

create table exclusion_part (
    edition text not null references exclusion_list (edition) on delete cascade,
    part    integer not null,
    entries integer not null,
    primary key (edition, part)
) strict;

-- An entry is found by its NPI and by first and last name, as keyed hashes. What it says is sealed, public as it is.
create table exclusion (
    edition text not null references exclusion_list (edition) on delete cascade,
    id      text not null,
    npi     blob,
    name    text,
    body    blob not null,
    primary key (edition, id)
) strict;

create index exclusion_npi_idx on exclusion (npi) where npi is not null;
create index exclusion_name_idx on exclusion (name) where name is not null;

-- What somebody found who looked whether a provider is who stands there. An entry keeps its id from list to list.
create table exclusion_review (
    provider_id  text not null,
    exclusion_id text not null,
    confirmed    integer not null,
    reviewed_at  text not null,
    body         blob not null,
    primary key (provider_id, exclusion_id)
) strict;
