-- An appointment is its ids, its time and one sealed body. The row outlives the patient's erasure, without body and patient: an id once
-- used is never used again.
create table appointment (
    id          text    not null primary key,
    version     integer not null,
    patient_id  text,
    provider_id text    not null,
    starts_at   text    not null,
    ends_at     text    not null,
    -- Whether it takes its time from provider and patient.
    active      integer not null,
    -- The status as a keyed hash, to be found by.
    status      blob,
    created_at  text    not null,
    updated_at  text    not null,
    deleted_at  text,
    body        blob,
    check (starts_at < ends_at),
    check ((deleted_at is null) = (body is not null)),
    check (deleted_at is not null or patient_id is not null),
    check ((deleted_at is null) = (status is not null)),
    check (deleted_at is null or not active)
) strict;

create index appointment_time_idx on appointment (starts_at, id) where deleted_at is null;
create index appointment_provider_idx on appointment (provider_id, starts_at, id) where deleted_at is null;
create index appointment_patient_idx on appointment (patient_id, starts_at, id);
create index appointment_provider_active_idx on appointment (provider_id, starts_at, ends_at) where active;
create index appointment_patient_active_idx on appointment (patient_id, starts_at, ends_at) where active;

-- Nobody is in two places at once. What stands does not overlap, so the last appointment to begin before the new one's end is the last
-- to end, too: that one alone need be looked at.
create trigger appointment_booked after insert on appointment when new.active
begin
    select raise(abort, 'appointment_provider_overlap')
    where (
        select ends_at from appointment
        where active and provider_id = new.provider_id and starts_at < new.ends_at and id <> new.id
        order by starts_at desc limit 1
    ) > new.starts_at;
    select raise(abort, 'appointment_patient_overlap')
    where (
        select ends_at from appointment
        where active and patient_id = new.patient_id and starts_at < new.ends_at and id <> new.id
        order by starts_at desc limit 1
    ) > new.starts_at;
end;

create trigger appointment_moved
after update of provider_id, patient_id, starts_at, ends_at, active on appointment when new.active
begin
    select raise(abort, 'appointment_provider_overlap')
    where (
        select ends_at from appointment
        where active and provider_id = new.provider_id and starts_at < new.ends_at and id <> new.id
        order by starts_at desc limit 1
    ) > new.starts_at;
    select raise(abort, 'appointment_patient_overlap')
    where (
        select ends_at from appointment
        where active and patient_id = new.patient_id and starts_at < new.ends_at and id <> new.id
        order by starts_at desc limit 1
    ) > new.starts_at;
end;

-- Who changed what, and when: one row for each version of an appointment, sealed under the patient's key.
create table appointment_change (
    appointment_id text    not null references appointment (id),
    version        integer not null,
    changed_at     text    not null,
    body           blob    not null,
    primary key (appointment_id, version)
) strict, without rowid;

-- Providers whose profile was removed: a booking that was under way meanwhile is refused.
create table removed_provider (
    id         text not null primary key,
    removed_at text not null
) strict;
