-- A log table of the application's own, as SQL, by the name that the definition gives it; null where it names none, or it
-- is not there.
create or replace function sexton.log_table(name text) returns text
language plpgsql stable as $function$
declare
    found text;
begin
    select format('%I.%I', n.nspname, c.relname) into found
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = name and c.relkind in ('r', 'p');
    if found is null and name is not null then
        raise warning 'the log table % is not here; the operation is not logged', name;
    end if;
    return found;
end
$function$;
