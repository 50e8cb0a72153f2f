-- A slot that somebody holds for a few minutes: ids, its time, who holds it as a keyed hash, and one sealed body. It takes the provider's time as
-- an appointment does. What has expired is taken away by whoever takes the provider's time next, since a constraint cannot look at the clock.
create table slot_hold (
    id          text        not null primary key,
    provider_id text        not null,
    patient_id  text,
    holder      bytea       not null,
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    body        bytea       not null,
    check (starts_at < ends_at),
    constraint slot_hold_provider_overlap
        exclude using gist (provider_id with =, tstzrange(starts_at, ends_at) with &&)
);

create index slot_hold_holder_idx on slot_hold (holder, expires_at);
create index slot_hold_expiry_idx on slot_hold (expires_at);
create index slot_hold_provider_idx on slot_hold (provider_id, starts_at);
create index slot_hold_patient_idx on slot_hold (patient_id) where patient_id is not null;

-- No constraint spans two tables. Each side looks at the other under the provider's lock, which the service has taken before: so what the other has
-- committed is seen, also by the version before this one, which knows no holds and is refused as it is for an appointment.
create function slot_hold_placed() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(current_schema() || ':provider:' || new.provider_id, 0));
    if exists (
        select 1 from appointment
        where active and provider_id = new.provider_id
          and tstzrange(starts_at, ends_at) && tstzrange(new.starts_at, new.ends_at)
    ) then
        raise exception 'slot_hold_appointment_overlap' using errcode = 'exclusion_violation';
    end if;
    return new;
end
$$;

create trigger slot_hold_placed before insert or update on slot_hold
for each row execute function slot_hold_placed();

create function appointment_placed() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(current_schema() || ':provider:' || new.provider_id, 0));
    if exists (
        select 1 from slot_hold
        where provider_id = new.provider_id
          and tstzrange(starts_at, ends_at) && tstzrange(new.starts_at, new.ends_at)
    ) then
        raise exception 'appointment_slot_hold_overlap' using errcode = 'exclusion_violation';
    end if;
    return new;
end
$$;

create trigger appointment_placed before insert on appointment
for each row when (new.active) execute function appointment_placed();

create trigger appointment_placed_anew before update of provider_id, starts_at, ends_at, active on appointment
for each row when (
    new.active and (
        not old.active or new.provider_id <> old.provider_id
        or new.starts_at <> old.starts_at or new.ends_at <> old.ends_at
    )
) execute function appointment_placed();
