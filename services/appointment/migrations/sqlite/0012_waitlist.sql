-- The waitlist: for whom, when and with whom; the rest sealed. What is offered is a hold, and until when.
create table waitlist (
    id          text    not null primary key,
    version     integer not null,
    patient_id  text    not null,
    provider_id text,
    starts_at   text    not null,
    ends_at     text    not null,
    created_at  text    not null,
    open        integer not null,
    hold_id     text,
    offer_until text,
    body        blob    not null,
    check (starts_at < ends_at),
    check ((hold_id is null) = (offer_until is null)),
    check (open or hold_id is null)
) strict;

create index waitlist_patient_idx on waitlist (patient_id, created_at, id);
create index waitlist_waiting_idx on waitlist (created_at, id) where open and hold_id is null;
create index waitlist_offer_idx on waitlist (offer_until) where offer_until is not null;
create index waitlist_provider_idx on waitlist (provider_id, created_at, id) where provider_id is not null;

-- With whom time has become free while somebody waits: written with what frees it, whoever does, and taken away once it was looked at. So nothing is lost
-- with a process.
create table slot_freed (
    id          integer not null primary key autoincrement,
    provider_id text    not null
) strict;

create index slot_freed_provider_idx on slot_freed (provider_id, id);

create trigger appointment_freed
after update of provider_id, starts_at, ends_at, active on appointment
when old.active and (
    not new.active or new.provider_id <> old.provider_id
    or new.starts_at <> old.starts_at or new.ends_at <> old.ends_at
)
begin
    insert into slot_freed (provider_id)
    select old.provider_id where exists (select 1 from waitlist where open and hold_id is null);
end;

create trigger slot_hold_freed after delete on slot_hold
begin
    insert into slot_freed (provider_id)
    select old.provider_id where exists (select 1 from waitlist where open and hold_id is null);
end;
