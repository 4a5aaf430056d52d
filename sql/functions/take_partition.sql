-- Moves a whole partition (see whole_partitions): its rows' children first, then the partition itself changes hands.
-- Gives `rows` and `children`; nothing if a row has come that stays, or if more than `most` children hang on it, which
-- would hold the partition for too long: then its rows go step by step.
create or replace function sexton.take_partition(definition jsonb, "order" jsonb, cutoff timestamptz, part jsonb, most bigint) returns jsonb
language plpgsql as $function$
declare
    shape jsonb;
    parent jsonb;
    script jsonb;
    node jsonb;
    keys text;
    key jsonb;
    stays boolean;
    rows bigint;
    gone bigint;
    kept bigint;
    children jsonb := '{}';
    at integer;
    change text;
begin
    -- Nobody writes to it from here on, nor adds children to its rows: both need the row.
    execute format('lock table %s in access exclusive mode', part ->> 'sql');
    shape := sexton.locked_shape(definition);
    parent := shape -> 'nodes' -> 0;
    script := sexton.script(definition, shape, "order");
    execute format('select exists (select from %s t where (%s) is not true)', part ->> 'sql', script ->> 'eligible') into stays using cutoff;
    if stays then
        return null;
    end if;
    select jsonb_agg(sexton.column_of(parent, name) order by place)
    into key
    from jsonb_array_elements_text(definition -> 'key') with ordinality l (name, place);
    keys := format('select %s from %s t', sexton.columns_sql('t', definition -> 'key'), part ->> 'sql');
    execute format('select count(*) from %s', part ->> 'sql') into rows;

    for at in reverse jsonb_array_length(shape -> 'nodes') - 1 .. 1 loop
        node := shape -> 'nodes' -> at;
        execute sexton.leave_sql(node, "order", sexton.rows_sql(shape, key, 'main', at, 't', keys)) into gone, kept
        using null::timestamptz, null::bigint, null::text[], null::text[], null::text[], "order" ->> 'by', "order" ->> 'reason';
        if gone <> kept then
            raise exception using errcode = 'SX009',
                message = format('a step was rolled back: of `%s` %s rows left and %s arrived', node ->> 'table', gone, kept),
                hint = 'look for a trigger or rule on these tables that swallows or adds rows';
        end if;
        children := children || jsonb_build_object(node ->> 'label', gone);
        most := most - gone;
        if most < 0 then
            -- The caller rolls back.
            return null;
        end if;
    end loop;

    execute format('alter table %s detach partition %s', parent ->> 'sql', part ->> 'sql');
    for change in
        select format('alter column %I drop expression', c ->> 'name')
        from jsonb_array_elements(parent -> 'columns') c
        where (c ->> 'generated')::boolean
        union all
        values
            ('add column archived_at timestamptz not null default now()'),
            (format('add column archived_by text default %L', left("order" ->> 'by', 255))),
            (format('add column archive_reason text default %L', left("order" ->> 'reason', 255))),
            ('alter column archived_by drop default'),
            ('alter column archive_reason drop default')
    loop
        execute format('alter table %s %s', part ->> 'sql', change);
    end loop;
    execute format('alter table %s attach partition %s %s', parent #>> '{archive,sql}', part ->> 'sql', part ->> 'bound');
    execute format('alter table %s drop constraint sexton_bounds', part ->> 'sql');
    return jsonb_build_object('rows', rows, 'children', children);
end
$function$;
