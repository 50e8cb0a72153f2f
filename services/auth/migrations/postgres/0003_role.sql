-- Roles that a clinic made for itself. The row outlives the role's deletion: a name once used is never used again, so that nobody comes into
-- a role that somebody else meant.
create table role (
    name       text collate "C" not null primary key,
    version    bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    -- Its permissions, names separated by spaces.
    scope      text not null
);

-- Who has which of them. The roles that every stack has stand in the account's body.
create table role_holder (
    account_id text collate "C" not null references account (id),
    role       text collate "C" not null references role (name),
    primary key (account_id, role)
);

create index role_holder_role_idx on role_holder (role);
