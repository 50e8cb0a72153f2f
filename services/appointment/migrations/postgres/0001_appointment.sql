-- For equality of ids within an exclusion constraint. It is the database's, not this schema's: where it is there already, in whatever
-- schema, it is used; where not, the role must be allowed to create it (it is a trusted extension, PostgreSQL 13 and later).
create extension if not exists btree_gist schema public;

-- An appointment is its ids, its time and one sealed body. The row outlives the patient's erasure, without body and patient: an id once
-- used is never used again.
create table appointment (
    id          text        not null primary key,
    version     bigint      not null,
    patient_id  text,
    provider_id text        not null,
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    -- Whether it takes its time from provider and patient.
    active      boolean     not null,
    -- The status as a keyed hash, to be found by.
    status      bytea,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    deleted_at  timestamptz,
    body        bytea,
    check (starts_at < ends_at),
    check ((deleted_at is null) = (body is not null)),
    check (deleted_at is not null or patient_id is not null),
    check ((deleted_at is null) = (status is not null)),
    check (deleted_at is null or not active),
    -- Nobody is in two places at once. Transactions take the locks of both first, or these would end in deadlocks.
    constraint appointment_provider_overlap
        exclude using gist (provider_id with =, tstzrange(starts_at, ends_at) with &&) where (active),
    constraint appointment_patient_overlap
        exclude using gist (patient_id with =, tstzrange(starts_at, ends_at) with &&) where (active)
);

create index appointment_time_idx on appointment (starts_at, id) where deleted_at is null;
create index appointment_provider_idx on appointment (provider_id, starts_at, id) where deleted_at is null;
create index appointment_patient_idx on appointment (patient_id, starts_at, id);

-- Who changed what, and when: one row for each version of an appointment, sealed under the patient's key.
create table appointment_change (
    appointment_id text        not null references appointment (id),
    version        bigint      not null,
    changed_at     timestamptz not null,
    body           bytea       not null,
    primary key (appointment_id, version)
);

-- Providers whose profile was removed: a booking that was under way meanwhile is refused.
create table removed_provider (
    id         text        not null primary key,
    removed_at timestamptz not null
);
