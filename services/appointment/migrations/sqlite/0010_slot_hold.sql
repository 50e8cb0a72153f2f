-- A slot that somebody holds for a few minutes: ids, its time, who holds it as a keyed hash, and one sealed body. It takes the provider's time as
-- an appointment does. What has expired is taken away by whoever takes the provider's time next, since a trigger has another clock.
create table slot_hold (
    id          text not null primary key,
    provider_id text not null,
    patient_id  text,
    holder      blob not null,
    starts_at   text not null,
    ends_at     text not null,
    created_at  text not null,
    expires_at  text not null,
    body        blob not null,
    check (starts_at < ends_at)
) strict;

create index slot_hold_holder_idx on slot_hold (holder, expires_at);
create index slot_hold_expiry_idx on slot_hold (expires_at);
create index slot_hold_provider_idx on slot_hold (provider_id, starts_at, ends_at);
create index slot_hold_patient_idx on slot_hold (patient_id) where patient_id is not null;

-- What stands does not overlap, so the last to begin before the new one's end is the last to end, too: that one alone need be looked at.
create trigger slot_hold_placed before insert on slot_hold
begin
    select raise(abort, 'slot_hold_provider_overlap')
    where (
        select ends_at from slot_hold
        where provider_id = new.provider_id and starts_at < new.ends_at
        order by starts_at desc limit 1
    ) > new.starts_at;
    select raise(abort, 'slot_hold_appointment_overlap')
    where (
        select ends_at from appointment
        where active and provider_id = new.provider_id and starts_at < new.ends_at
        order by starts_at desc limit 1
    ) > new.starts_at;
end;

create trigger appointment_placed after insert on appointment when new.active
begin
    select raise(abort, 'appointment_slot_hold_overlap')
    where (
        select ends_at from slot_hold
        where provider_id = new.provider_id and starts_at < new.ends_at
        order by starts_at desc limit 1
    ) > new.starts_at;
end;

create trigger appointment_placed_anew
after update of provider_id, starts_at, ends_at, active on appointment when new.active
begin
    select raise(abort, 'appointment_slot_hold_overlap')
    where (
        select ends_at from slot_hold
        where provider_id = new.provider_id and starts_at < new.ends_at
        order by starts_at desc limit 1
    ) > new.starts_at;
end;
