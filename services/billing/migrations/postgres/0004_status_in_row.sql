-- Where bills stand is no longer told by an index: their statuses are hashed with their ids, and no two are alike (ADR 24).
drop index bill_status_idx;

-- Statuses were hashed alone, to 16 bytes, and are hashed with their row to 24 (ADR 24). These are the rows to be written anew, also those that
-- the version before this one writes while both run.
create index bill_status_alone_idx on bill (status, id) where length(status) = 16;
