-- When a session was last refreshed, and, sealed, where it was begun and with what. An older version writes neither.
alter table session add column refreshed_at timestamptz;
alter table session add column body bytea;
