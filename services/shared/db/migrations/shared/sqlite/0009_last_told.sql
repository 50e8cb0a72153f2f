-- What the service last ran with, by matter (its settings, the keys it uses), sealed: what of it is another now is told in the audit.
create table last_told (
    matter  text not null primary key,
    version integer not null,
    body    blob not null
) strict;
