-- What patients ask to have amended in their records, and what came of it: one sealed body, under the patient's key, with which it goes.
create table amendment (
    id           text        not null primary key,
    version      bigint      not null,
    record_id    text        not null,
    patient_id   text        not null,
    requested_at timestamptz not null,
    decided_at   timestamptz,
    body         bytea       not null
);

create index amendment_record_idx on amendment (record_id, requested_at, id);
create index amendment_patient_idx on amendment (patient_id, requested_at, id);
create index amendment_open_idx on amendment (requested_at, id) where decided_at is null;
create index amendment_idx on amendment (requested_at, id);
