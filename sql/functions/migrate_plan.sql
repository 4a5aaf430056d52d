-- How the rows of the table `source` become rows of a data set's main table: the statements of one batch, made from
-- the definition's `migrate` and the catalog. `rename` says which of the source's columns stand for which of main's.
--
-- Everything that would keep a whole migration from working is told here, before a row is read.
create or replace function sexton.migrate_plan(definition jsonb, source text, rename jsonb default '{}') returns jsonb
language plpgsql stable
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex'
as $function$
declare
    mapping constant jsonb := coalesce(definition -> 'migrate', '{}');
    known_by constant text := coalesce(definition ->> 'known_by',
        case when jsonb_array_length(definition -> 'key') = 1 then definition -> 'key' ->> 0 end);
    shape constant jsonb := sexton.shape(definition);
    main constant jsonb := shape -> 'nodes' -> 0;
    from_oid constant oid := sexton.migrate_source(source);
    from_sql text;
    key jsonb;
    lost boolean;
    seen text;
    list jsonb;
    chosen text[];
    odd text[];
    col jsonb;
begin
    if main is null then
        raise exception using errcode = 'SX003', detail = definition ->> 'table',
            message = format('there is no table `%s` in database `%s`', definition ->> 'table', current_database()),
            hint = 'correct `table` in jobs/datasets/, or check that this is the right database';
    end if;
    select format('%I.%I', n.nspname, c.relname) into from_sql
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid = from_oid;
    perform sexton.migrate_check(definition, shape, from_oid, from_sql, rename, known_by);
    perform sexton.migrate_privileges(definition, main, from_oid);

    key := sexton.migrate_key(from_oid);
    -- What is null comes after nothing: such a row would be left out without a word. A primary key has none.
    if not exists (select from pg_index i where i.indrelid = from_oid and i.indisprimary) then
        execute format('select exists (select from %s t where t.%I is null)', from_sql, key -> 0 ->> 'name') into lost;
        if lost then
            raise exception using errcode = 'SX001',
                message = format('`%s` has rows without `%s`, by which rows are read in order', from_sql, key -> 0 ->> 'name'),
                hint = 'give each row one, or make a view of the rows that have one';
        end if;
    end if;
    list := sexton.migrate_columns(definition, (main ->> 'oid')::oid, from_oid, rename);
    -- A batch is read into a table of its own, so that halving it reads the source no second time.
    seen := (
        select format('select b.n as "sexton #", %s', string_agg(c ->> 'seen', ', '))
        from jsonb_array_elements(list) c
        where c ? 'seen'
    );
    for col in select c from jsonb_array_elements(list) c where c ? 'value' loop
        begin
            execute format('select %s from (%s from (select null::bigint as n, "sexton row" as content from %s "sexton row" limit 0) b) s limit 0',
                col ->> 'value', seen, from_sql);
        exception when syntax_error_or_access_rule_violation then
            if sqlstate = '42501' then
                raise;
            end if;
            raise exception using errcode = 'SX001',
                message = format('no value for column `%s` of `%s` can be made from `%s`: %s', col ->> 'name', main ->> 'table', from_sql, sqlerrm),
                hint = format('write an SQL expression on the source''s columns: `%s` under [migrate.columns] in jobs/datasets/', col ->> 'name');
        end;
    end loop;
    chosen := array(select c ->> 'name' from jsonb_array_elements(list) c where c ? 'value');
    odd := array(select c ->> 'name' from jsonb_array_elements(list) c where (c ->> 'numbered')::boolean);
    if known_by <> all (chosen) then
        raise exception using errcode = 'SX001',
            message = format('column `%s` of `%s`, by which rows are known, gets no value from `%s`', known_by, main ->> 'table', from_sql),
            hint = format('write an SQL expression for it: `%s` under [migrate.columns] in jobs/datasets/', known_by);
    end if;
    return jsonb_build_object(
        'table', main ->> 'table',
        'main', main -> 'oid',
        'main_sql', main ->> 'sql',
        'source', from_sql,
        -- For an allow-list: as the catalog has it, whatever the caller wrote.
        'source_name', (select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = from_oid),
        'key', key,
        'numbered', to_jsonb(odd),
        'read', sexton.migrate_read_sql(from_sql, key),
        'map', (
            select format(
                e'insert into pg_temp.sexton_migrate_mapped ("sexton #", %s)\nselect "sexton #", %s\nfrom (%s from pg_temp.sexton_migrate_batch b where b.n between $1 and $2) s\norder by "sexton #"',
                string_agg(quote_ident(c ->> 'name'), ', '), string_agg(c ->> 'value', ', '), seen)
            from jsonb_array_elements(list) c
            where c ? 'value'
        ),
        'probes', (
            select jsonb_agg(jsonb_build_object('column', c ->> 'name', 'sql', format(
                e'insert into pg_temp.sexton_migrate_probe (%I)\nselect %s\nfrom (%s from pg_temp.sexton_migrate_batch b where b.n = $1) s',
                c ->> 'name', c ->> 'value', seen)))
            from jsonb_array_elements(list) c
            where c ? 'value'
        ),
        'refusals', sexton.migrate_refusals(definition, (main ->> 'oid')::oid),
        'clashes', sexton.migrate_clashes((main ->> 'oid')::oid, known_by, odd),
        'there', (
            select jsonb_agg(format(
                e'delete from pg_temp.sexton_migrate_mapped m\nwhere exists (select from %s t where t.%I = m.%I)',
                place, known_by, known_by))
            from (
                select main ->> 'sql' as place
                union all
                select main #>> '{archive,sql}'
                where main #> '{archive,columns}' @> jsonb_build_array(jsonb_build_object('name', known_by))
            ) p
        ),
        'shadow', (
            select format(
                e'insert into pg_temp.sexton_migrate_shadow ("sexton #", %s)\nselect "sexton #", %1$s\nfrom pg_temp.sexton_migrate_mapped\nwhere "sexton #" between $1 and $2\norder by "sexton #"\non conflict (%I) do nothing',
                string_agg(quote_ident(c ->> 'name'), ', '), known_by)
            from jsonb_array_elements(list) c
            where c ? 'kept'
        ),
        'insert', (
            select format(
                e'insert into %s (%s)%s\nselect %2$s\nfrom pg_temp.sexton_migrate_shadow\nwhere "sexton #" between $1 and $2\norder by "sexton #"\non conflict (%4$I) do nothing',
                main ->> 'sql', string_agg(quote_ident(c ->> 'name'), ', '),
                case when bool_or((c ->> 'numbered')::boolean) then ' overriding system value' end, known_by)
            from jsonb_array_elements(list) c
            where c ? 'value'
        )
    );
end
$function$;
