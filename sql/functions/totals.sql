-- What an order finds: rows that go, rows that stay for being held, critical or open, and all rows on both sides.
create or replace function sexton.totals(definition jsonb, "order" jsonb, cutoff timestamptz) returns jsonb
language plpgsql stable as $function$
declare
    shape constant jsonb := sexton.checked_shape(definition);
    script constant jsonb := sexton.script(definition, shape, "order");
    eligible bigint;
    held bigint;
    critical bigint;
    open bigint;
    main bigint;
    archive bigint;
begin
    execute script ->> 'totals' into eligible, held, critical, open using cutoff;
    execute script ->> 'sizes' into main, archive;
    return jsonb_build_object('eligible', eligible, 'kept_held', held, 'kept_critical', critical, 'kept_open', open,
        'sizes', jsonb_build_object('main', main, 'archive', archive,
            'main_bytes', (select sum(sexton.bytes(n -> 'oid')) from jsonb_array_elements(shape -> 'nodes') n),
            'archive_bytes', (select sum(sexton.bytes(n #> '{archive,oid}')) from jsonb_array_elements(shape -> 'nodes') n)));
end
$function$;
