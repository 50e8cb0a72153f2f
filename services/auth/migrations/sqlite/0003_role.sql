-- Roles that a clinic made for itself. The row outlives the role's deletion: a name once used is never used again, so that nobody comes into
-- a role that somebody else meant.
create table role (
    name       text not null primary key,
    version    integer not null,
    created_at text not null,
    updated_at text not null,
    deleted_at text,
    -- Its permissions, names separated by spaces.
    scope      text not null
) strict;

-- Who has which of them. The roles that every stack has stand in the account's body.
create table role_holder (
    account_id text not null references account (id),
    role       text not null references role (name),
    primary key (account_id, role)
) strict;

create index role_holder_role_idx on role_holder (role);
