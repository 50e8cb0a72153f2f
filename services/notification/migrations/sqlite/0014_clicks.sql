-- How often a link in it was followed, and when the first time.
alter table notification add column clicks integer not null default 0;
alter table notification add column first_clicked_at text;
