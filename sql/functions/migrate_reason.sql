-- Why row `n` of the batch was refused, from what the database said of it, without any of its values.
create or replace function sexton.migrate_reason(
    plan jsonb, n bigint, state text, inout broken text, inout col text, said text, out why text
)
language plpgsql as $function$
declare
    main constant oid := (plan ->> 'main')::oid;
    probe jsonb;
    columns text[];
begin
    broken := nullif(broken, '');
    col := nullif(col, '');
    -- The shadow's indexes have names of their own; what they demand is main's.
    select coalesce(min(m.name), broken) into broken
    from sexton.unique_indexes('pg_temp.sexton_migrate_shadow'::regclass) s
    join sexton.unique_indexes(main) m using (signature)
    where s.name = broken;
    if state ^@ '22' and col is null then
        -- The database does not say of which column a value was: each is tried by itself.
        for probe in select value from jsonb_array_elements(plan -> 'probes') loop
            begin
                execute probe ->> 'sql' using n;
            exception when data_exception then
                col := probe ->> 'column';
                exit;
            end;
        end loop;
    end if;
    if state in ('23505', '23P01') then
        select u.columns into columns from sexton.unique_indexes(main) u where u.name = broken;
        why := sexton.migrate_clash(broken, columns);
        col := array_to_string(columns, ', ');
        return;
    end if;
    if state = '23514' then
        select string_agg(a.attname, ', ' order by a.attnum) into col
        from pg_constraint k
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
        where k.conrelid = main and k.conname = broken;
    end if;
    why := concat(
        case when col is not null then format('column `%s`: ', col) end,
        case
            when state = '23502' then 'must not be null'
            when state = '23514' then format('violates check constraint `%s`', broken)
            -- What stands between quotes here is the row's own value.
            else regexp_replace(said, '".*"', '…')
        end
    );
end
$function$;
