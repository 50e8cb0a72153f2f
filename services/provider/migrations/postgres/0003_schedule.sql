-- Counts the changes of what decides when a provider can be booked: hours, places, kinds of visits, and time off.
alter table provider add column schedule_version bigint not null default 0;

-- A provider's time off: about when, as it would be in UTC, and one sealed body. What it means, the provider's time zone decides.
create table time_off (
    id          text        not null primary key,
    provider_id text        not null references provider (id),
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    created_at  timestamptz not null,
    body        bytea       not null,
    check (starts_at < ends_at)
);

create index time_off_provider_idx on time_off (provider_id, starts_at, id);
