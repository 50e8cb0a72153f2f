-- An address that is told of changes in a provider's availability: where and with which secret is sealed. What it has taken so far is the number of a
-- change; what it is to be told is whatever provider_state has beyond. Whoever has the claim is at it until next_at; a claim that was not given back
-- ends by itself.
create table webhook (
    id            text    not null primary key,
    provider_id   text    not null,
    created_at    text    not null,
    body          blob    not null,
    told          integer not null,
    claim         blob,
    next_at       text,
    failures      integer not null default 0,
    failing_since text,
    error         text,
    delivered_at  text,
    disabled_at   text
) strict;

create index webhook_provider_idx on webhook (provider_id, created_at, id);
