-- A calendar feed: of a patient's or of a provider's appointments. Of its secret there is a keyed hash, which the feed's id is a part of. Who made it,
-- and what they call it, is sealed: under the patient's key, or the service's.
create table feed (
    id          text        not null primary key,
    patient_id  text,
    provider_id text,
    secret      bytea       not null,
    created_at  timestamptz not null,
    body        bytea       not null,
    check ((patient_id is null) <> (provider_id is null))
);

create index feed_patient_idx on feed (patient_id, created_at, id) where patient_id is not null;
create index feed_provider_idx on feed (provider_id, created_at, id) where provider_id is not null;
