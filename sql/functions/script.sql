-- The statements of an order on a data set, as one value.
--
-- An order says `from` (main, archive), `to` (archive, main, nowhere), `select` (old, resolved), `keep_critical`,
-- `keep_open`. In the statements $1 is the cutoff (timestamptz), $2 a limit, $3 the age and key of the last row of
-- the step before (text[]), $4 names of rows (text[]), $5 the keys of locked rows (text[], a row of it for each
-- column of the key), $6 who, $7 why.
create or replace function sexton.script(definition jsonb, shape jsonb, "order" jsonb) returns jsonb
language plpgsql stable as $function$
declare
    parent constant jsonb := shape -> 'nodes' -> 0;
    side constant text := "order" ->> 'from';
    source constant text := sexton.source_sql(parent, side);
    key jsonb;
    clock jsonb;
    cutoff text;
    past text;
    critical text;
    open text;
    held text;
    eligible text;
    sort text;
    key_names text;
    stuck text[] := '{}';
    going text;
    first_keys text;
    moves jsonb := '[]';
    children jsonb := '[]';
    inner_locks jsonb := '[]';
    node jsonb;
    at integer := 0;
    step jsonb;
begin
    select jsonb_agg(sexton.column_of(parent, name) order by place)
    into key
    from jsonb_array_elements_text(definition -> 'key') with ordinality l (name, place);

    if side = 'archive' and exists (select from jsonb_array_elements(shape -> 'nodes') n where n #>> '{archive,oid}' is null) then
        raise exception using errcode = 'SX001',
            message = format('there is no archive `%s` yet', (
                select n #>> '{archive,table}' from jsonb_array_elements(shape -> 'nodes') n where n #>> '{archive,oid}' is null limit 1)),
            hint = 'archive some rows first; the archive tables are made then';
    end if;
    if "order" ->> 'select' = 'resolved' and not definition ? 'resolved' then
        raise exception using errcode = 'SX001', message = 'the data set has no `resolved`, which this job needs',
            hint = 'add `resolved` to the data set in jobs/datasets/';
    end if;
    clock := sexton.column_of(parent, case "order" ->> 'select' when 'resolved' then definition #>> '{resolved,at}' else definition ->> 'age' end);
    cutoff := case
        when clock ->> 'type' = 'date' then '($1::timestamptz at time zone ''UTC'')::date'
        when clock ->> 'type' like '%without time zone' then '($1::timestamptz at time zone ''UTC'')'
        else '$1::timestamptz'
    end;
    past := format('t.%I < %s', clock ->> 'name', cutoff);
    if "order" ->> 'select' = 'resolved' then
        past := past || e'\n  and ' || sexton.condition_sql(definition #>> '{resolved,when}') || ' is true';
    end if;

    -- What is not known to be harmless stays.
    critical := case when coalesce(("order" ->> 'keep_critical')::boolean, true) and definition ? 'critical'
        then sexton.condition_sql(definition ->> 'critical') else 'false' end;
    open := case when coalesce(("order" ->> 'keep_open')::boolean, true) and definition ? 'open'
        then sexton.condition_sql(definition ->> 'open') else 'false' end;
    held := coalesce(sexton.condition_sql(definition ->> 'hold') || e' is not false\n   or ', '')
        || format('exists (select from sexton.hold h where h.dataset = %L and h.name = %s and (h.until is null or h.until > now()))',
            definition ->> 'table', sexton.name_sql(definition));
    eligible := past
        || case when critical = 'false' then '' else format(e'\n  and %s is false', critical) end
        || case when open = 'false' then '' else format(e'\n  and %s is false', open) end
        || format(e'\n  and (%s) is false', held);

    select string_agg(format('t.%I', c ->> 'name'), ', ' order by place) into key_names
    from jsonb_array_elements(key) with ordinality l (c, place);
    sort := format('t.%I, %s', clock ->> 'name', key_names);

    -- A row stays, too, when its place on the other side is taken by another of the same key.
    if "order" ->> 'to' = 'archive' and side = 'main' then
        for node in select value from jsonb_array_elements(shape -> 'nodes') loop
            if node #>> '{archive,oid}' is not null and node -> 'key' <> '[]' then
                stuck := stuck || case
                    when at = 0 then format('exists (select from %s a where (%s) = (%s))', node #>> '{archive,sql}',
                        sexton.columns_sql('a', node -> 'key'), sexton.columns_sql('t', node -> 'key'))
                    else format('exists (select from %s c join %s a on (%s) = (%s) where %s)', node ->> 'sql', node #>> '{archive,sql}',
                        sexton.columns_sql('a', node -> 'key'), sexton.columns_sql('c', node -> 'key'),
                        sexton.rows_sql(shape, key, side, at, 'c', 't'))
                end;
            end if;
            at := at + 1;
        end loop;
    end if;
    going := eligible || coalesce((select string_agg(e'\n  and not ' || s, '') from unnest(stuck) s), '');
    first_keys := format(e'select %s\nfrom %s t\nwhere %s\norder by %s\nlimit $2', key_names, source, going, sort);

    at := 0;
    for node in select value from jsonb_array_elements(shape -> 'nodes') loop
        if at > 0 then
            children := children || jsonb_build_object('label', node ->> 'label', 'sql', format(
                e'select count(*)\nfrom %s t\nwhere %s', sexton.source_sql(node, side),
                sexton.rows_sql(shape, key, side, at, 't', first_keys)));
            if exists (
                select from jsonb_array_elements(shape -> 'nodes') n, jsonb_array_elements(n -> 'edges') e
                where (e ->> 'to')::integer = at
            ) then
                inner_locks := inner_locks || to_jsonb(format('select count(*) from (select 1 from %s t where %s for update) l',
                    sexton.source_sql(node, side), sexton.rows_sql(shape, key, side, at, 't', null)));
            end if;
        end if;
        step := jsonb_build_object('label', node ->> 'label', 'table', case side when 'archive' then node #>> '{archive,table}' else node ->> 'table' end,
            'parent', at = 0, 'sql', sexton.leave_sql(node, "order", sexton.rows_sql(shape, key, side, at, 't', null)));
        -- Rows arrive in main parents first; everywhere else children leave first.
        moves := case when "order" ->> 'to' = 'main' then moves || step else step || moves end;
        at := at + 1;
    end loop;

    return jsonb_build_object(
        'width', jsonb_array_length(key),
        'key', key,
        'eligible', eligible,
        'totals', format(
            e'select count(*) filter (where (%1$s) is false and %2$s is false and %3$s is false),\n       count(*) filter (where (%1$s) is not false),\n       count(*) filter (where (%1$s) is false and %2$s is not false),\n       count(*) filter (where (%1$s) is false and %2$s is false and %3$s is not false)\nfrom %4$s t\nwhere %5$s',
            held, critical, open, source, past),
        'sizes', format('select (select count(*) from %s), %s', parent ->> 'sql',
            case when parent #>> '{archive,oid}' is null then '0::bigint' else format('(select count(*) from %s)', parent #>> '{archive,sql}') end),
        'first', first_keys,
        'going', format(e'select count(*) from (\n%s\n) g', first_keys),
        'children', children,
        'lock', format(
            e'with locked as materialized (\n    select t.%1$I as c, %2$s\n    from %3$s t\n    where %4$s%5$s\n    order by %6$s\n    limit $2\n    for update of t skip locked\n)\nselect count(*), max(c)::text, array[%7$s]\nfrom locked',
            clock ->> 'name',
            (select string_agg(format('t.%I as k%s', c ->> 'name', place), ', ' order by place) from jsonb_array_elements(key) with ordinality l (c, place)),
            source, eligible,
            case when ("order" ->> 'after')::boolean then format(e'\n      and (%s) > (($3::text[])[1]::%s%s)', sort, clock ->> 'type',
                (select string_agg(format(', ($3::text[])[%s]::%s', place + 1, c ->> 'type'), '' order by place) from jsonb_array_elements(key) with ordinality l (c, place)))
            else '' end,
            sort,
            (select string_agg(format('array_agg(k%s::text order by c, %s)', place,
                (select string_agg('k' || p, ', ' order by p) from generate_series(1, jsonb_array_length(key)) p)), ', ' order by place)
             from jsonb_array_elements(key) with ordinality l (c, place))),
        'named', sexton.named_sql(definition, key, source),
        'named_main', sexton.named_sql(definition, key, parent ->> 'sql'),
        'lock_keys', format(e'select array[%s] from (select %s from %s t where %s for update of t skip locked) t',
            (select string_agg(format('array_agg(t.%I::text)', c ->> 'name'), ', ' order by place) from jsonb_array_elements(key) with ordinality l (c, place)),
            key_names, source, sexton.rows_sql(shape, key, side, 0, 't', null)),
        'inner', inner_locks,
        'moves', moves
    );
end
$function$;
