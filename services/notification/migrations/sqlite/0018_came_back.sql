-- How often it was handed on and did not arrive: what is told of an earlier time is no news of this one.
alter table notification add column turn integer not null default 0;

-- The ways that a notification which tells of an appointment was to go by, before the one that stands in its row.
create table came_back (
    notification_id text not null references notification (id) on delete cascade,
    turn            integer not null,
    channel         text not null check (channel in ('Email', 'Sms', 'Push')),
    -- When it was handed on; null: it was refused at once.
    sent_at         text,
    primary key (notification_id, turn)
) strict;
