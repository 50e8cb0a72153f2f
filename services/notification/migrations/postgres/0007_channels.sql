-- What became of a notification after it was handed on, and by whose word.
alter table notification add column delivered_at timestamptz;
alter table notification add column provider_code text;
-- Keyed hash of the provider's name for it.
alter table notification add column provider_ref bytea;
-- Which of its channel's adapters may have it, when nobody knows; -1: whichever was asked when its claimer died.
alter table notification add column unsure_adapter bigint;
-- From when it is tried for a day, if not from when it was asked for: it was replayed.
alter table notification add column replayed_at timestamptz;

create index notification_provider_ref_idx on notification (provider_ref) where provider_ref is not null;

-- Addresses that are written to no more: keyed hashes, of nobody in particular.
create table suppression (
    id         text not null primary key,
    channel    text not null check (channel in ('Email', 'Sms', 'Push')),
    addressee  bytea not null,
    reason     text not null check (reason in ('Stop', 'Bounce', 'Complaint', 'Gone')),
    created_at timestamptz not null,
    unique (channel, addressee)
);

create index suppression_created_idx on suppression (created_at, id);

-- Where push messages go. Its body is sealed under the patient's key, or of a user who is none under the service's.
create table device (
    id         text not null primary key,
    patient_id text,
    user_id    text,
    -- Keyed hash of its token, or of its subscription's endpoint.
    address    bytea not null unique,
    created_at timestamptz not null,
    body       bytea not null,
    check ((patient_id is null) <> (user_id is null))
);

create index device_patient_idx on device (patient_id, created_at, id) where patient_id is not null;
create index device_user_idx on device (user_id, created_at, id) where user_id is not null;
