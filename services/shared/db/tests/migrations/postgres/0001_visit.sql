create table visit (
    id      text        not null primary key,
    room    text        not null,
    seat    bigint      not null,
    open    boolean     not null,
    at      timestamptz not null,
    day     date        not null,
    body    bytea,
    follows text references visit (id),
    unique (room, seat),
    check (seat >= 0)
);

create function visit_is_not_closed() returns trigger language plpgsql as $$
begin
    raise exception 'visit is closed';
end
$$;

create trigger visit_closed before update on visit for each row when (not old.open)
    execute function visit_is_not_closed();
