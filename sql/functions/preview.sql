-- What an order would move now, at most `most` parent rows of it (null: all), by the conditions of the real run.
-- Changes nothing.
create or replace function sexton.preview(definition jsonb, "order" jsonb, cutoff timestamptz, most bigint) returns jsonb
language plpgsql stable as $function$
declare
    shape constant jsonb := sexton.checked_shape(definition);
    script constant jsonb := sexton.script(definition, shape, "order");
    rows bigint;
    child jsonb;
    gone bigint;
    children jsonb := '{}';
    changes text[] := '{}';
begin
    perform sexton.check_conditions(definition, shape);
    perform sexton.check_privileges(definition, shape, "order");
    if "order" ->> 'to' = 'archive' then
        changes := sexton.archive_changes(definition, shape);
    end if;
    execute script ->> 'going' into rows using cutoff, most;
    for child in select value from jsonb_array_elements(script -> 'children') loop
        execute child ->> 'sql' into gone using cutoff, most;
        children := children || jsonb_build_object(child ->> 'label', gone);
    end loop;
    return jsonb_build_object('totals', sexton.totals(definition, "order", cutoff), 'rows', rows, 'children', children,
        'changes', to_jsonb(changes));
end
$function$;
