-- A bill is an id, a version, whose it is, and one sealed body. A deleted draft leaves its id: an id once used is never used again.
create table bill (
    id         text        not null primary key,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    patient_id text,
    -- Keyed hash: bills are found by it, and nobody reads it.
    status     bytea,
    -- The patient was erased and the law keeps the bill: it is sealed under the service's key instead of the patient's.
    restricted boolean     not null default false,
    body       bytea,
    check ((body is null) = (deleted_at is not null)),
    check ((patient_id is null) = (deleted_at is not null)),
    check ((status is null) = (deleted_at is not null))
);

create index bill_created_idx on bill (created_at, id) where deleted_at is null;
create index bill_status_idx on bill (status, created_at, id) where deleted_at is null;
create index bill_patient_idx on bill (patient_id, created_at, id) where deleted_at is null;
