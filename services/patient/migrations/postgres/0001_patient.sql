-- A patient is an id, a version and one sealed body. The row outlives the patient's deletion, without its body: an id once used is
-- never used again.
create table patient (
    id               text        not null primary key,
    version          bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    deleted_at       timestamptz,
    -- Set once the patient's key is destroyed; until then a job tries again.
    key_destroyed_at timestamptz,
    body             bytea,
    check ((body is null) = (deleted_at is not null))
);

create index patient_created_idx on patient (created_at, id) where deleted_at is null;
create index patient_pending_erasure_idx on patient (deleted_at) where deleted_at is not null and key_destroyed_at is null;

-- What can be searched for: keyed hashes of names, dates of birth, phones and mail addresses.
create table patient_index (
    token      bytea not null,
    patient_id text  not null references patient (id),
    primary key (token, patient_id)
);

create index patient_index_patient_idx on patient_index (patient_id);
