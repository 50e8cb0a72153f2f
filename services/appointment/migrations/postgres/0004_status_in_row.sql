-- Statuses were hashed alone, to 16 bytes, and are hashed with their row to 24 (ADR 24). These are the rows to be written anew, also those that
-- the version before this one writes while both run.
create index appointment_status_alone_idx on appointment (status, id) where length(status) = 16;
