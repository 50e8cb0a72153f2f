-- When whoever got it complained of it, as their mail server told.
alter table notification add column complained_at timestamptz;
