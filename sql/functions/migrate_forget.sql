-- Removes what has been in the quarantine for more than 90 days: it holds personal data.
create or replace function sexton.migrate_forget() returns void
language sql
begin atomic
    delete from sexton.quarantine where found_at < now() - interval '90 days';
end;
