-- Patients erased here. Kept for good: what comes late for one of them is refused.
create table erasure (
    patient          text        not null primary key,
    requested_at     timestamptz not null,
    key_destroyed_at timestamptz
);

create index erasure_pending on erasure (requested_at) where key_destroyed_at is null;
