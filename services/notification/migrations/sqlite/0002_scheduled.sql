-- Notifications that wait for their time stand with those that were sent, under the id that they keep. A check cannot be changed here, so the table
-- is written anew. `kind` has no check: a further one is to need no further table.
create table notification_new (
    id                  text not null primary key,
    version             integer not null,
    created_at          text not null,
    -- When the row goes; a body that is under its month's key cannot be opened from then on.
    expires_at          text not null,
    channel             text not null check (channel in ('Email', 'Sms', 'Push')),
    status              text not null
        check (status in ('Scheduled', 'Queued', 'Sent', 'Delivered', 'Bounced', 'Failed', 'Withdrawn')),
    -- Whom it concerns: then the body is sealed under their key.
    patient_id          text,
    -- Keyed hash of the address.
    addressee           blob not null,
    body                blob not null,
    sent_at             text,
    -- Why it has not gone out, without a word of what it says or to whom.
    error               text,
    attempts            integer not null default 0,
    -- When the next attempt may begin; a claim moves it past the time that an attempt may take.
    next_attempt_at     text,
    claim               blob,
    -- What it is about.
    kind                text not null default 'message',
    -- The appointment that it tells of.
    appointment_id      text,
    -- What it tells, of which version of the appointment, whom and how long before: told once.
    told_once           text,
    -- When it is to be sent, and from when on it is not sent any more.
    send_at             text,
    send_until          text,
    -- When it is to be looked at next; a claim moves it past the time that this may take.
    look_at             text,
    check ((status = 'Queued') = (next_attempt_at is not null)),
    check ((status = 'Scheduled') = (look_at is not null))
) strict;

insert into notification_new (id, version, created_at, expires_at, channel, status, patient_id, addressee, body, sent_at, error, attempts,
    next_attempt_at, claim)
select id, version, created_at, expires_at, channel, status, patient_id, addressee, body, sent_at, error, attempts, next_attempt_at, claim
from notification;

drop table notification;
alter table notification_new rename to notification;

create index notification_created_idx on notification (created_at, id);
create index notification_patient_idx on notification (patient_id, created_at, id) where patient_id is not null;
create index notification_addressee_idx on notification (addressee, created_at, id);
create index notification_due_idx on notification (next_attempt_at) where next_attempt_at is not null;
create index notification_expires_idx on notification (expires_at);
create index notification_appointment_idx on notification (appointment_id, created_at, id) where appointment_id is not null;
create index notification_look_idx on notification (look_at, id) where look_at is not null;
create unique index notification_told_once_idx on notification (told_once) where told_once is not null;

-- An appointment as it was told of last. The highest version counts.
create table told_appointment (
    appointment_id text not null primary key,
    version        integer not null,
    patient_id     text not null,
    provider_id    text not null,
    starts_at      text not null,
    -- Whether anybody is still to be reminded of it.
    stands         integer not null,
    -- Sealed under the patient's key.
    body           blob not null
) strict;

create index told_appointment_patient_idx on told_appointment (patient_id, starts_at);
create index told_appointment_provider_idx on told_appointment (provider_id, starts_at);
create index told_appointment_starts_idx on told_appointment (starts_at);
