-- Notifications that wait for their time stand with those that were sent, under the id that they keep. `kind` has no check: a further one is to
-- need no change.
alter table notification drop constraint notification_status_check;
alter table notification add constraint notification_status_check
    check (status in ('Scheduled', 'Queued', 'Sent', 'Delivered', 'Bounced', 'Failed', 'Withdrawn'));
alter table notification
    -- What it is about.
    add column kind text not null default 'message',
    -- The appointment that it tells of.
    add column appointment_id text,
    -- What it tells, of which version of the appointment, whom and how long before: told once.
    add column told_once text,
    -- When it is to be sent, and from when on it is not sent any more.
    add column send_at timestamptz,
    add column send_until timestamptz,
    -- When it is to be looked at next; a claim moves it past the time that this may take.
    add column look_at timestamptz,
    add constraint notification_look_check check ((status = 'Scheduled') = (look_at is not null));

create index notification_appointment_idx on notification (appointment_id, created_at, id) where appointment_id is not null;
create index notification_look_idx on notification (look_at, id) where look_at is not null;
create unique index notification_told_once_idx on notification (told_once) where told_once is not null;

-- An appointment as it was told of last. The highest version counts.
create table told_appointment (
    appointment_id text not null primary key,
    version        bigint not null,
    patient_id     text not null,
    provider_id    text not null,
    starts_at      timestamptz not null,
    -- Whether anybody is still to be reminded of it.
    stands         boolean not null,
    -- Sealed under the patient's key.
    body           bytea not null
);

create index told_appointment_patient_idx on told_appointment (patient_id, starts_at);
create index told_appointment_provider_idx on told_appointment (provider_id, starts_at);
create index told_appointment_starts_idx on told_appointment (starts_at);
