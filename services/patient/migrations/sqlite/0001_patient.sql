-- A patient is an id, a version and one sealed body. The row outlives the patient's deletion, without its body: an id once used is
-- never used again.
create table patient (
    id               text    not null primary key,
    version          integer not null,
    created_at       text    not null,
    updated_at       text    not null,
    deleted_at       text,
    -- Set once the patient's key is destroyed; until then a job tries again.
    key_destroyed_at text,
    body             blob,
    check ((body is null) = (deleted_at is not null))
) strict;

create index patient_created_idx on patient (created_at, id) where deleted_at is null;
create index patient_pending_erasure_idx on patient (deleted_at) where deleted_at is not null and key_destroyed_at is null;

-- What can be searched for: keyed hashes of names, dates of birth, phones and mail addresses.
create table patient_index (
    token      blob not null,
    patient_id text not null references patient (id),
    primary key (token, patient_id)
) strict, without rowid;

create index patient_index_patient_idx on patient_index (patient_id);
