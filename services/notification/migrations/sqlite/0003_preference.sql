-- How and when somebody wishes to be written to. A patient's is sealed under their key, a provider's under the service's.
create table preference (
    -- patient:… or provider:…
    person     text not null primary key,
    version    integer not null,
    updated_at text not null,
    body       blob not null
) strict;

-- Under which addresses a patient with preferences was known last: a message may name an address and no patient.
create table known_address (
    -- Keyed hash, as beside a notification.
    addressee  blob not null,
    patient_id text not null,
    primary key (addressee, patient_id)
) strict;

create index known_address_patient_idx on known_address (patient_id);
