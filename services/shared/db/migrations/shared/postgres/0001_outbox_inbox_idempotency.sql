-- One row per event and subscriber; the row is deleted when the subscriber has it.
create table outbox (
    event_id        text        not null,
    subscriber      text        not null,
    name            text        not null,
    subject_patient text,
    body            bytea       not null,
    occurred_at     timestamptz not null,
    created_at      timestamptz not null,
    attempts        bigint      not null,
    next_attempt_at timestamptz not null,
    claim           bytea,
    last_error      text,
    primary key (event_id, subscriber)
);

create index outbox_due on outbox (next_attempt_at);

-- Events already taken in.
create table inbox (
    event_id    text        not null primary key,
    received_at timestamptz not null
);

create index inbox_received on inbox (received_at);

-- A request that carried an Idempotency-Key, and its answer once there is one.
create table idempotency (
    id            bytea       not null primary key,
    body_hash     bytea       not null,
    fence         bytea       not null,
    claimed_until timestamptz not null,
    answer        bytea,
    answered_at   timestamptz,
    expires_at    timestamptz not null,
    check ((answer is null) = (answered_at is null))
);

create index idempotency_expiring on idempotency (expires_at);
