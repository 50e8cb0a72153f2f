-- A provider is an id, a version and one sealed body. The row outlives the provider's removal, without its body: an id once used is
-- never used again.
create table provider (
    id         text        not null primary key,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    body       bytea,
    check ((body is null) = (deleted_at is not null))
);

create index provider_created_idx on provider (created_at, id) where deleted_at is null;
