-- Has PostgreSQL check a partition's bounds while others go on using it, so that it can be attached without a scan.
create or replace function sexton.prepare_partition(part jsonb, validate boolean) returns void
language plpgsql as $function$
begin
    if validate then
        execute format('alter table %s validate constraint sexton_bounds', part ->> 'sql');
    else
        if exists (select from pg_constraint where conrelid = (part ->> 'oid')::oid and conname = 'sexton_bounds') then
            return;
        end if;
        execute format('alter table %s add constraint sexton_bounds check (%s) not valid', part ->> 'sql',
            pg_get_partition_constraintdef((part ->> 'oid')::oid));
    end if;
end
$function$;
