-- A medical record is an id, a version, whose and of which day it is, and one sealed body. A deleted one leaves its id: an id once
-- used is never used again.
create table medical_record (
    id         text        not null primary key,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    patient_id text,
    day        date,
    body       bytea,
    check ((body is null) = (deleted_at is not null)),
    check ((patient_id is null) = (deleted_at is not null)),
    check ((day is null) = (deleted_at is not null))
);

create index medical_record_day_idx on medical_record (day, id) where deleted_at is null;
create index medical_record_patient_idx on medical_record (patient_id, day, id) where deleted_at is null;
