-- The channel through which a calendar outside tells that it has changed, if there is one.
alter table outside_calendar add column watch_id text;
alter table outside_calendar add column watch_resource text;
alter table outside_calendar add column watch_until timestamptz;
-- When one was asked for last, whatever came of it.
alter table outside_calendar add column watch_asked_at timestamptz;
-- When it was last told that it has changed, since whoever is at it, or was last, began.
alter table outside_calendar add column told_at timestamptz;
