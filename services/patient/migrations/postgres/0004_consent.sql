-- What a patient does not share, and with whom, is one sealed body. When it ends stands beside it.
create table consent (
    id          text not null primary key,
    patient_id  text not null,
    recorded_at timestamptz not null,
    ends_at     timestamptz not null,
    body        bytea not null
);

create index consent_patient_idx on consent (patient_id, recorded_at, id);
