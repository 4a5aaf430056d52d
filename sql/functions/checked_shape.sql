-- The shape of a data set, refused with the reason where its rows cannot be moved safely.
--
-- SX001: a person must change something (the hint says what). SX003: no such table, SX004: no such column; their
-- detail is the wanted name, so that a caller may look for a similar one.
create or replace function sexton.checked_shape(definition jsonb) returns jsonb
language plpgsql stable as $function$
declare
    shape jsonb := sexton.shape(definition);
    parent jsonb := shape -> 'nodes' -> 0;
    wanted jsonb;
    node jsonb;
    edge jsonb;
    what record;
    kept jsonb;
begin
    for wanted in select value from jsonb_array_elements(shape -> 'wanted') loop
        if wanted ->> 'oid' is null then
            raise exception using errcode = 'SX003', detail = wanted ->> 'name',
                message = format('there is no table `%s` in database `%s`', wanted ->> 'name', current_database()),
                hint = 'correct the name in jobs/datasets/ (schema.table, spelled as the catalog has it), or check that this is the right database and that the user may use the schema';
        elsif wanted ->> 'kind' not in ('r', 'p') then
            raise exception using errcode = 'SX001',
                message = format('`%s` is a %s, no table whose rows can be moved', wanted ->> 'name',
                    case wanted ->> 'kind' when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end),
                hint = 'name another one in jobs/datasets/';
        end if;
        if not exists (select from jsonb_array_elements(shape -> 'nodes') n where n -> 'oid' = wanted -> 'oid') then
            raise exception using errcode = 'SX001',
                message = format('`%s` is listed as a child, but no foreign key of it leads to the data set', wanted ->> 'name'),
                hint = 'take it off the list in jobs/datasets/, or add the foreign key';
        end if;
    end loop;

    if shape -> 'rings' -> 0 is not null then
        raise exception using errcode = 'SX001',
            message = format('`%s` references itself, directly or through others: its rows have no order in which they can be moved', shape -> 'rings' ->> 0),
            hint = 'drop the foreign key that closes the ring, or list the children without it';
    end if;
    if shape -> 'unlisted' -> 0 is not null then
        raise exception using errcode = 'SX001',
            message = format('rows of `%s` would be changed or deleted with their parent (foreign key `%s`), but it is not listed as a child',
                shape -> 'unlisted' -> 0 ->> 'table', shape -> 'unlisted' -> 0 ->> 'constraint'),
            hint = format('add "%s" to `children` in jobs/datasets/, or write children = "foreign keys"', shape -> 'unlisted' -> 0 ->> 'table');
    end if;

    for what in
        select 'key' as key, name from jsonb_array_elements_text(definition -> 'key') l (name)
        union all select 'age', definition ->> 'age'
        union all select 'resolved.at', definition #>> '{resolved,at}' where definition ? 'resolved'
        union all select 'known_by', definition ->> 'known_by' where definition ? 'known_by'
    loop
        if sexton.column_of(parent, what.name) is null then
            raise exception using errcode = 'SX004', detail = coalesce(what.name, ''),
                message = format('table `%s` has no column `%s` (the data set''s `%s`)', parent ->> 'table', what.name, what.key),
                hint = 'correct the name in jobs/datasets/';
        end if;
        if what.key in ('age', 'resolved.at') and sexton.column_of(parent, what.name) ->> 'type' !~ '^(timestamp|date$)' then
            raise exception using errcode = 'SX001',
                message = format('column `%s` of `%s` is `%s`; an age is told by timestamptz, timestamp or date',
                    what.name, parent ->> 'table', sexton.column_of(parent, what.name) ->> 'type'),
                hint = 'name another one in jobs/datasets/';
        end if;
    end loop;

    select jsonb_agg(name order by name) into kept from jsonb_array_elements_text(definition -> 'key') l (name);
    if kept is null
        or not exists (select from jsonb_array_elements(parent -> 'unique') u where u = kept)
        or exists (select from jsonb_array_elements_text(kept) l (name) where not (sexton.column_of(parent, name) ->> 'not_null')::boolean)
    then
        raise exception using errcode = 'SX001',
            message = format('`%s` is no unique, non-null key of `%s`',
                (select string_agg(name, ', ' order by place) from jsonb_array_elements_text(definition -> 'key') with ordinality l (name, place)),
                parent ->> 'table'),
            hint = format('list the columns of %s''s primary key as `key` in jobs/datasets/', parent ->> 'table');
    end if;

    for node in select value from jsonb_array_elements(shape -> 'nodes') loop
        for edge in select value from jsonb_array_elements(node -> 'edges') loop
            if not (edge -> 'indexed')::boolean then
                raise exception using errcode = 'SX001',
                    message = format('`%s` has no index on (%s): each step would read the whole table', node ->> 'table',
                        (select string_agg(name, ', ' order by place) from jsonb_array_elements_text(edge -> 'columns') with ordinality l (name, place))),
                    hint = format('run on the target: create index concurrently on %s (%s);', node ->> 'sql', sexton.columns_sql('', edge -> 'columns'));
            end if;
        end loop;
    end loop;
    return shape;
end
$function$;
