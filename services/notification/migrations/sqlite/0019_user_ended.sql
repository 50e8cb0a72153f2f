-- Since when a user may not sign in any more: so long what was told of them before may still come.
alter table told_user add column ended_at text;
