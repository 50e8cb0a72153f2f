-- What the patient answered to a reminder by a link in it, last.
alter table notification add column answer text;
