-- A referral is its ids and one body, sealed under the patient's key. It goes when they go.
create table referral (
    id             text not null primary key,
    version        bigint not null,
    patient_id     text not null,
    from_provider  text not null,
    to_provider    text,
    appointment_id text,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    body           bytea not null
);

create index referral_created_idx on referral (created_at, id);
create index referral_patient_idx on referral (patient_id, created_at, id);
create index referral_from_provider_idx on referral (from_provider, created_at, id);
create index referral_to_provider_idx on referral (to_provider, created_at, id) where to_provider is not null;
create unique index referral_appointment_idx on referral (appointment_id) where appointment_id is not null;

-- What was done with a referral: one row for each of its versions, sealed under the patient's key.
create table referral_change (
    referral_id text not null references referral (id) on delete cascade,
    version     bigint not null,
    changed_at  timestamptz not null,
    body        bytea not null,
    primary key (referral_id, version)
);
