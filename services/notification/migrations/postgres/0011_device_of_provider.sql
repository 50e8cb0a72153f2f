-- Whose device it is, if a clinician's: providers are told of their appointments by it.
alter table device add column provider_id text;

create index device_provider_idx on device (provider_id, created_at, id) where provider_id is not null;
