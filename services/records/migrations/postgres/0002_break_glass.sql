-- Who saw whose records in an emergency, and what a review found: one sealed body, under the month's key, as the audit is, so that it
-- outlives the patient's. What it opens, and until when, stands in `glass`.
create table break_glass (
    id          text        not null primary key,
    broken_at   timestamptz not null,
    user_id     text        not null,
    patient_id  text        not null,
    until       timestamptz not null,
    reviewed_at timestamptz,
    expires_at  timestamptz not null,
    body        bytea       not null
);

create index break_glass_idx on break_glass (broken_at, id);
create index break_glass_open_idx on break_glass (broken_at, id) where reviewed_at is null;
create index break_glass_patient_idx on break_glass (patient_id, broken_at, id);
create index break_glass_expiry_idx on break_glass (expires_at);
