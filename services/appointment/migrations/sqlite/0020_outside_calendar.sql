-- A calendar outside that appointments are kept in step with, as the settings have it: how far it is, and who is at it. Whoever has the lease works;
-- one that was not given back ends by itself.
create table outside_calendar (
    name         text    not null primary key,
    -- What the state is of: another address is another calendar.
    target       blob    not null,
    sync_token   text,
    -- When all of it was last read.
    whole_at     text,
    lease_by     text,
    lease_until  text,
    next_at      text    not null,
    failures     integer not null default 0,
    state        text    not null,
    error        text,
    last_sync_at text
) strict;

-- What an appointment is there: where, as what, and which version of it. Without an etag it is not known to be there.
create table outside_event (
    calendar       text    not null,
    appointment_id text    not null,
    href           text    not null,
    etag           text,
    -- The version that was written; 0: it is to be written, whatever it is.
    version        integer not null,
    starts_at      text    not null,
    ends_at        text    not null,
    primary key (calendar, appointment_id)
) strict, without rowid;

create unique index outside_event_href_idx on outside_event (calendar, href);

-- When events of others keep a provider busy. What they are called nobody here knows: of the place where one is kept there is a keyed hash.
create table outside_busy (
    calendar    text not null,
    object      blob not null,
    starts_at   text not null,
    ends_at     text not null,
    provider_id text not null,
    primary key (calendar, object, starts_at),
    check (starts_at < ends_at)
) strict, without rowid;

create index outside_busy_provider_idx on outside_busy (provider_id, ends_at, starts_at);
