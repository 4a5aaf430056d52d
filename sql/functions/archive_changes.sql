-- The statements that make a data set's archive tables match its main tables: a missing one is made, added columns
-- follow; a changed type is refused with the statement to run. Changes nothing itself.
--
-- An archive holds what main held. Checks, foreign keys and unique columns belong to main: a row must never be kept
-- out of the archive because main's rules have changed, or because another row with the same name was archived
-- before. Of constraints the archive keeps the key, and checks that main has, too.
create or replace function sexton.archive_changes(definition jsonb, shape jsonb) returns text[]
language plpgsql stable as $function$
declare
    statements text[] := '{}';
    own constant jsonb := '[{"name": "archived_at", "type": "timestamp with time zone"}, {"name": "archived_by", "type": "text"}, {"name": "archive_reason", "type": "text"}]';
    node jsonb;
    archive jsonb;
    main jsonb;
    kept jsonb;
    what record;
    lines text[];
    filled boolean;
begin
    if definition #>> '{archive,schema}' is not null
        and not exists (select from pg_namespace where nspname = definition #>> '{archive,schema}')
    then
        statements := statements || format('create schema %I', definition #>> '{archive,schema}');
    end if;

    for node in select value from jsonb_array_elements(shape -> 'nodes') loop
        archive := node -> 'archive';
        if archive ->> 'kind' not in ('r', 'p') then
            raise exception using errcode = 'SX001',
                message = format('`%s` is no table, so it cannot be the archive of `%s`', archive ->> 'table', node ->> 'table'),
                hint = 'rename it, or choose another `archive` in jobs/datasets/';
        end if;

        if archive ->> 'oid' is null then
            if exists (select from jsonb_array_elements(own) o where sexton.column_of(node, o ->> 'name') is not null) then
                raise exception using errcode = 'SX001',
                    message = format('`%s` has a column that its archive needs for itself (archived_at, archived_by or archive_reason)', node ->> 'table'),
                    hint = 'rename the column, or choose another table';
            end if;
            lines := array(
                select format('%I %s', c ->> 'name', c ->> 'type') || coalesce(' collate ' || (c ->> 'collation'), '')
                from jsonb_array_elements(node -> 'columns') with ordinality l (c, place)
                order by place
            ) || array['archived_at timestamptz not null default now()', 'archived_by text', 'archive_reason text'];
            if node -> 'key' <> '[]' then
                lines := lines || format('primary key (%s)', sexton.columns_sql('', node -> 'key'));
            end if;
            statements := statements || (
                format(e'create table %s (\n    %s\n)', archive ->> 'sql', array_to_string(lines, e',\n    '))
                || coalesce(' partition by ' || (node ->> 'partitioned'), '')
            );
            statements := statements || array(
                select format('create index on %s (%s)', archive ->> 'sql', sexton.columns_sql('', e -> 'columns'))
                from jsonb_array_elements(node -> 'edges') e
            );
            if node -> 'edges' = '[]' then
                if definition ? 'known_by' and definition -> 'key' <> jsonb_build_array(definition -> 'known_by') then
                    statements := statements || format('create index on %s (%I)', archive ->> 'sql', definition ->> 'known_by');
                end if;
                statements := statements || format('create index on %s (%I)', archive ->> 'sql', definition ->> 'age');
            end if;
            continue;
        end if;

        for main in select value from jsonb_array_elements(node -> 'columns') loop
            kept := sexton.column_of(archive, main ->> 'name');
            if kept is null then
                -- What was archived before main had the column gets what main's own rows got, or it could never come back.
                filled := (main ->> 'not_null')::boolean and main ->> 'default' not like '%nextval(%'
                    and not (main ->> 'generated')::boolean and not (main ->> 'identity')::boolean;
                statements := statements || (format('alter table %s add column %I %s', archive ->> 'sql', main ->> 'name', main ->> 'type')
                    || coalesce(' collate ' || (main ->> 'collation'), '')
                    || case when filled then ' default ' || (main ->> 'default') else '' end);
                if filled then
                    statements := statements || format('alter table %s alter column %I drop default', archive ->> 'sql', main ->> 'name');
                end if;
                continue;
            end if;
            -- `character varying` without a length holds `character varying(1000)`, `numeric` holds `numeric(10,2)`.
            if kept ->> 'type' <> main ->> 'type' and not starts_with(main ->> 'type', (kept ->> 'type') || '(') then
                raise exception using errcode = 'SX001',
                    message = format('archive `%s` does not match `%s`: column `%s` is %s here and %s there',
                        archive ->> 'table', node ->> 'table', main ->> 'name', main ->> 'type', kept ->> 'type'),
                    hint = format('run on the target: alter table %1$s alter column %2$I type %3$s using %2$I::%3$s;',
                        archive ->> 'sql', main ->> 'name', main ->> 'type');
            end if;
            if (kept ->> 'generated')::boolean then
                statements := statements || format('alter table %s alter column %I drop expression', archive ->> 'sql', main ->> 'name');
            end if;
            if (kept ->> 'identity')::boolean then
                statements := statements || format('alter table %s alter column %I drop identity', archive ->> 'sql', main ->> 'name');
            end if;
            -- Made by `like … including all`, it would draw from main's sequence.
            if kept ->> 'default' like '%nextval(%' then
                statements := statements || format('alter table %s alter column %I drop default', archive ->> 'sql', main ->> 'name');
            end if;
            if (kept ->> 'not_null')::boolean and not (main ->> 'not_null')::boolean and not node -> 'key' ? (main ->> 'name') then
                statements := statements || format('alter table %s alter column %I drop not null', archive ->> 'sql', main ->> 'name');
            end if;
        end loop;

        for main in select value from jsonb_array_elements(own) loop
            if sexton.column_of(archive, main ->> 'name') is null then
                statements := statements || format('alter table %s add column %I %s', archive ->> 'sql', main ->> 'name',
                    case main ->> 'name' when 'archived_at' then 'timestamptz default now()' else main ->> 'type' end);
            end if;
        end loop;

        for kept in
            select c from jsonb_array_elements(archive -> 'columns') c
            where sexton.column_of(node, c ->> 'name') is null
              and not exists (select from jsonb_array_elements(own) o where o ->> 'name' = c ->> 'name')
              and (c ->> 'not_null')::boolean and c ->> 'default' is null
        loop
            raise exception using errcode = 'SX001',
                message = format('archive `%s` does not match `%s`: its column `%s` is not null, and main has no such column any more',
                    archive ->> 'table', node ->> 'table', kept ->> 'name'),
                hint = format('run on the target: alter table %s alter column %I drop not null;', archive ->> 'sql', kept ->> 'name');
        end loop;

        for what in
            select k.conname, k.contype
            from pg_constraint k
            where k.conrelid = (archive ->> 'oid')::oid
              and k.conparentid = 0
              and (
                  k.contype in ('f', 'x')
                  or k.contype = 'c' and not exists (
                      select
                      from pg_constraint m
                      where m.conrelid = (node ->> 'oid')::oid
                        and m.contype = 'c'
                        and pg_get_constraintdef(m.oid) = pg_get_constraintdef(k.oid)
                  )
              )
            order by k.conname
        loop
            statements := statements || format('alter table %s drop constraint %I', archive ->> 'sql', what.conname);
        end loop;

        -- A unique index becomes a plain one; rows are still found by it.
        for what in
            select i.indexrelid, c.relname, n.nspname, k.conname,
                   regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE UNIQUE INDEX (".*?[^"]"|\S+) ON', 'create index on') as plain
            from pg_index i
            join pg_class c on c.oid = i.indexrelid
            join pg_namespace n on n.oid = c.relnamespace
            left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'u' and k.conrelid = i.indrelid
            where i.indrelid = (archive ->> 'oid')::oid and i.indisunique and not i.indisprimary
            order by c.relname
        loop
            statements := statements || case
                when what.conname is null then format('drop index %I.%I', what.nspname, what.relname)
                else format('alter table %s drop constraint %I', archive ->> 'sql', what.conname)
            end;
            statements := statements || what.plain;
        end loop;
    end loop;
    return statements;
end
$function$;
