-- Who is deleted is found by nothing any more, also where the version before this one deletes them, which knows only the index before.
create trigger patient_deleted after update of deleted_at on patient when new.deleted_at is not null
begin
    delete from search_term where owner = new.id;
end;
