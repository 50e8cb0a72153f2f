-- The capture box: every notification that was asked for, however it went. What it says and to whom is one sealed body. Beside it stands
-- what it is found by, and how far its delivery is.
create table notification (
    id              text not null primary key,
    version         integer not null,
    created_at      text not null,
    -- When the row goes; a body that is under its month's key cannot be opened from then on.
    expires_at      text not null,
    channel         text not null check (channel in ('Email', 'Sms', 'Push')),
    status          text not null check (status in ('Queued', 'Sent', 'Failed')),
    -- Whom it concerns: then the body is sealed under their key.
    patient_id      text,
    -- Keyed hash of the address.
    addressee       blob not null,
    body            blob not null,
    sent_at         text,
    -- Why it has not gone out, without a word of what it says or to whom.
    error           text,
    attempts        integer not null default 0,
    -- When the next attempt may begin; a claim moves it past the time that an attempt may take.
    next_attempt_at text,
    claim           blob,
    check ((status = 'Queued') = (next_attempt_at is not null))
) strict;

create index notification_created_idx on notification (created_at, id);
create index notification_patient_idx on notification (patient_id, created_at, id) where patient_id is not null;
create index notification_addressee_idx on notification (addressee, created_at, id);
create index notification_due_idx on notification (next_attempt_at) where next_attempt_at is not null;
create index notification_expires_idx on notification (expires_at);
