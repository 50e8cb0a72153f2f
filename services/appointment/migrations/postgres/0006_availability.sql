-- From when and until when others are kept away by the buffers of a visit, where that is more than the visit itself.
alter table appointment add column busy_from timestamptz;
alter table appointment add column busy_until timestamptz;
-- Whether somebody must resolve something: the provider is gone or away, or their hours do not cover it any more.
alter table appointment add column in_conflict boolean not null default false;
update appointment set in_conflict = true where deleted_at is null and provider_id in (select id from removed_provider);

create index appointment_conflict_idx on appointment (starts_at, id) where in_conflict and deleted_at is null;

-- What is counted of a provider: how often something changed in when they can be booked, how often their service told that their schedule did, and
-- how far the appointments ahead have been looked at since.
create table provider_state (
    provider_id text        not null primary key,
    changes     bigint      not null,
    heard       bigint      not null,
    review_due  boolean     not null,
    reviewed_at timestamptz,
    reviewed_id text
);

create index provider_state_due_idx on provider_state (provider_id) where review_due;
