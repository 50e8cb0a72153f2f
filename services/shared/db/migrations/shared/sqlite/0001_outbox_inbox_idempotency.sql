-- One row per event and subscriber; the row is deleted when the subscriber has it.
create table outbox (
    event_id        text    not null,
    subscriber      text    not null,
    name            text    not null,
    subject_patient text,
    body            blob    not null,
    occurred_at     text    not null,
    created_at      text    not null,
    attempts        integer not null,
    next_attempt_at text    not null,
    claim           blob,
    last_error      text,
    primary key (event_id, subscriber)
) strict;

create index outbox_due on outbox (next_attempt_at);

-- Events already taken in.
create table inbox (
    event_id    text not null primary key,
    received_at text not null
) strict;

create index inbox_received on inbox (received_at);

-- A request that carried an Idempotency-Key, and its answer once there is one.
create table idempotency (
    id            blob not null primary key,
    body_hash     blob not null,
    fence         blob not null,
    claimed_until text not null,
    answer        blob,
    answered_at   text,
    expires_at    text not null,
    check ((answer is null) = (answered_at is null))
) strict;

create index idempotency_expiring on idempotency (expires_at);
