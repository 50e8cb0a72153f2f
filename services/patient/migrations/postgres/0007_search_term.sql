-- Who is deleted is found by nothing any more, also where the version before this one deletes them, which knows only the index before.
create function patient_is_not_found() returns trigger language plpgsql as $$
begin
    delete from search_term where owner = new.id;
    return null;
end
$$;

create trigger patient_deleted after update of deleted_at on patient for each row when (new.deleted_at is not null)
    execute function patient_is_not_found();
