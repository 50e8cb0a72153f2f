create table visit (
    id      text    not null primary key,
    room    text    not null,
    seat    integer not null,
    open    integer not null,
    at      text    not null,
    day     text    not null,
    body    blob,
    follows text references visit (id),
    unique (room, seat),
    check (seat >= 0)
) strict;

create trigger visit_closed before update on visit for each row when not old.open
begin
    select raise(abort, 'visit is closed');
end;
