-- A patient is an id, a version and one sealed body. The row outlives the patient's deletion, without its body: an id once used is
-- never used again.
create table patient (
    id               text        not null primary key,
    version          bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    deleted_at       timestamptz,
    body             bytea,
    check ((body is null) = (deleted_at is not null))
);

create index patient_created_idx on patient (created_at, id) where deleted_at is null;
