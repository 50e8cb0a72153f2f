-- The account by which a patient registered it themselves: it goes with that.
alter table device add column account_id text;

create index device_account_idx on device (account_id) where account_id is not null;

-- A user as they were told of last, for what is theirs here. The highest version counts.
create table told_user (
    user_id     text not null primary key,
    version     integer not null,
    is_active   integer not null,
    -- The provider they are.
    provider_id text
) strict;
