-- A credential is its provider, its last day and one sealed body. Beside it stands what is asked of all at once: whether it keeps its provider from being
-- booked, whether the registry is to be asked, and for how many days before its end somebody was told last.
create table credential (
    id          text not null primary key,
    provider_id text not null,
    version     bigint not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    -- An NPI as a keyed hash: it is one provider's.
    npi         bytea,
    expires_on  date,
    revoked_at  timestamptz,
    ask_at      timestamptz,
    asked_since timestamptz,
    told_days   bigint,
    body        bytea not null
);

create index credential_provider_idx on credential (provider_id, created_at, id);
create unique index credential_npi_idx on credential (npi) where npi is not null;
create index credential_expires_on_idx on credential (expires_on, id) where expires_on is not null and revoked_at is null;
create index credential_ask_at_idx on credential (ask_at, id) where ask_at is not null;

-- What was done with a credential: one row for each of its versions, sealed. It goes with the credential.
create table credential_change (
    credential_id text not null references credential (id) on delete cascade,
    version       bigint not null,
    changed_at    timestamptz not null,
    body          bytea not null,
    primary key (credential_id, version)
);
