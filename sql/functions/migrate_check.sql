-- Refuses a source that cannot be migrated, with all that is missing at once.
create or replace function sexton.migrate_check(definition jsonb, shape jsonb, source oid, source_sql text, rename jsonb, known_by text) returns void
language plpgsql stable as $function$
declare
    mapping constant jsonb := coalesce(definition -> 'migrate', '{}');
    main constant jsonb := shape -> 'nodes' -> 0;
    has text[];
    lacks text[];
    wrong text;
begin
    if exists (
        select
        from jsonb_array_elements(shape -> 'nodes') n
        cross join lateral (values ((n ->> 'oid')::oid), ((n #>> '{archive,oid}')::oid)) own (oid)
        where own.oid = source
           -- A part of such a table is the table; the function gives nothing for a table that has no parts.
           or own.oid in (select a.relid from pg_partition_ancestors(source) a)
           or exists (select from pg_inherits i where i.inhrelid = source and i.inhparent = own.oid)
    ) then
        raise exception using errcode = 'SX001',
            message = format('`%s` belongs to the data set itself: its rows are there already', source_sql),
            hint = 'name the legacy table';
    end if;
    if known_by is null or not exists (select from jsonb_array_elements(main -> 'unique') u where u = jsonb_build_array(known_by)) then
        raise exception using errcode = 'SX001',
            message = format('whether a row is in `%s` already cannot be told: `%s` is no unique column of it', main ->> 'table', coalesce(known_by, 'known_by')),
            hint = 'name a unique column as `known_by` in jobs/datasets/';
    end if;

    select array_agg(a.attname::text) into has
    from pg_attribute a
    where a.attrelid = source and a.attnum > 0 and not a.attisdropped;
    select string_agg(format('`%s`', r.old), ', ') into wrong
    from jsonb_each_text(rename) r (old, new)
    where r.old <> all (has);
    if wrong is not null then
        raise exception using errcode = 'SX004',
            message = format('`%s` has no column %s, which `rename` names', source_sql, wrong),
            hint = 'write rename = { SOURCE_COLUMN = "column of the data set" } in the job''s file';
    end if;
    select string_agg(format('`%s`', c.name), ', ') into wrong
    from (
        select value as name from jsonb_each_text(rename)
        union all
        select jsonb_object_keys(mapping -> 'columns')
    ) c
    where sexton.column_of(main, c.name) is null;
    if wrong is not null then
        raise exception using errcode = 'SX004',
            message = format('`%s` has no column %s, which the mapping names', main ->> 'table', wrong),
            hint = 'correct [migrate.columns] in jobs/datasets/, or `rename` in the job''s file';
    end if;

    -- What is renamed stands for the column of main.
    has := has || array(select value from jsonb_each_text(rename));
    lacks := array(
        select name from jsonb_array_elements_text(mapping -> 'required') with ordinality l (name, place)
        where name <> all (has)
        order by place
    );
    if sexton.migrate_key(source) is null then
        lacks := 'id'::text || lacks;
    end if;
    if cardinality(lacks) > 0 then
        raise exception using errcode = 'SX004',
            message = format('`%s` lacks columns that a migration into `%s` needs: %s', source_sql, main ->> 'table', array_to_string(lacks, ', ')),
            hint = concat('add them to the source, make a view that has them, or say with `rename` in the job''s file which columns stand for them',
                case when lacks[1] = 'id' then '; rows are read in the order of the primary key, or of `id` where there is none' end);
    end if;
end
$function$;
