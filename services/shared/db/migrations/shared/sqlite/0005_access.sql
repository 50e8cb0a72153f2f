-- Who treats whom, as far as one source says: an appointment, a place in a care team. The highest version of a source counts, in whatever
-- order they come; `until` is null where the source has ended it.
create table care (
    source      text    not null primary key,
    version     integer not null,
    patient_id  text    not null,
    provider_id text    not null,
    until       text,
    told_at     text    not null
) strict;

create index care_provider_idx on care (provider_id, patient_id, until);
create index care_patient_idx on care (patient_id);

-- Who sees a patient in an emergency, and until when.
create table glass (
    id         text not null primary key,
    user_id    text not null,
    patient_id text not null,
    until      text not null
) strict;

create index glass_user_idx on glass (user_id, patient_id, until);
create index glass_patient_idx on glass (patient_id);
