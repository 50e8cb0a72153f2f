-- Who treats a patient beside those whom they have appointments with. Who has left stays, so that the versions go on; the others are told by
-- them.
create table care_team (
    patient_id  text    not null,
    provider_id text    not null,
    version     bigint not null,
    is_in       boolean not null,
    last_day    date,
    primary key (patient_id, provider_id)
);
