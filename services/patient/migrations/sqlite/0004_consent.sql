-- What a patient does not share, and with whom, is one sealed body. When it ends stands beside it.
create table consent (
    id          text not null primary key,
    patient_id  text not null,
    recorded_at text not null,
    ends_at     text not null,
    body        blob not null
) strict;

create index consent_patient_idx on consent (patient_id, recorded_at, id);
