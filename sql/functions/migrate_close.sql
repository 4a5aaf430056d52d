-- Drops what migrate_open made.
create or replace function sexton.migrate_close() returns void
language plpgsql as $function$
declare
    name text;
begin
    foreach name in array array['batch', 'bad', 'probe', 'mapped', 'shadow'] loop
        if to_regclass('pg_temp.sexton_migrate_' || name) is not null then
            execute format('drop table pg_temp.sexton_migrate_%s', name);
        end if;
    end loop;
end
$function$;
