-- From when and until when others are kept away by the buffers of a visit that is held, where that is more than the visit itself.
alter table slot_hold add column busy_from text;
alter table slot_hold add column busy_until text;
