-- A series of appointments: whose it is, and how it recurs, sealed. Its appointments are rows like others, and name it.
create table series (
    id         text not null primary key,
    patient_id text not null,
    created_at text not null,
    body       blob not null
) strict;

create index series_patient_idx on series (patient_id, id);

alter table appointment add column series_id text;

create index appointment_series_idx on appointment (series_id, starts_at, id) where series_id is not null;
