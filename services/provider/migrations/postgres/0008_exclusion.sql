-- Lists of those whom federal programmes exclude: that which counts, and one whose parts are still coming.
create table exclusion_list (
    edition    date not null primary key,
    parts      bigint not null,
    is_current boolean not null,
    updated_at timestamptz not null
);

create table exclusion_part (
    edition date not null references exclusion_list (edition) on delete cascade,
    part    bigint not null,
    entries bigint not null,
    primary key (edition, part)
);

-- An entry is found by its NPI and by first and last name, as keyed hashes. What it says is sealed, public as it is.
create table exclusion (
    edition date not null references exclusion_list (edition) on delete cascade,
    id      text not null,
    npi     bytea,
    name    text,
    body    bytea not null,
    primary key (edition, id)
);

create index exclusion_npi_idx on exclusion (npi) where npi is not null;
create index exclusion_name_idx on exclusion (name) where name is not null;

-- What somebody found who looked whether a provider is who stands there. An entry keeps its id from list to list.
create table exclusion_review (
    provider_id  text not null,
    exclusion_id text not null,
    confirmed    boolean not null,
    reviewed_at  timestamptz not null,
    body         bytea not null,
    primary key (provider_id, exclusion_id)
);
