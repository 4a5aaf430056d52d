-- The condition for rows of node `at`, called `name`, that belong to the given parent rows (see keys_sql).
create or replace function sexton.rows_sql(shape jsonb, key jsonb, side text, at integer, name text, query text) returns text
language plpgsql stable as $function$
declare
    edge jsonb;
    ordered jsonb;
    ways text[] := '{}';
    outer_name text;
begin
    if at = 0 then
        return sexton.keys_sql(key, name, (select jsonb_agg(c -> 'name' order by place) from jsonb_array_elements(key) with ordinality l (c, place)), query);
    end if;
    for edge in select value from jsonb_array_elements(shape -> 'nodes' -> at -> 'edges') loop
        -- Most foreign keys reference the key itself, in some order: then no join is needed.
        select jsonb_agg(edge -> 'columns' -> (r.place - 1)::integer order by k.place)
        into ordered
        from jsonb_array_elements(key) with ordinality k (c, place)
        join jsonb_array_elements_text(edge -> 'referenced') with ordinality r (name, place) on r.name = k.c ->> 'name';
        if (edge ->> 'to')::integer = 0
            and jsonb_array_length(ordered) = jsonb_array_length(key)
            and jsonb_array_length(edge -> 'columns') = jsonb_array_length(key)
        then
            ways := ways || sexton.keys_sql(key, name, ordered, query);
        else
            outer_name := format('p%s_%s', edge ->> 'to', name);
            ways := ways || format('(%s) in (select %s from %s %s where %s)',
                sexton.columns_sql(name, edge -> 'columns'),
                sexton.columns_sql(outer_name, edge -> 'referenced'),
                sexton.source_sql(shape -> 'nodes' -> (edge ->> 'to')::integer, side),
                outer_name,
                sexton.rows_sql(shape, key, side, (edge ->> 'to')::integer, outer_name, query));
        end if;
    end loop;
    return case when cardinality(ways) = 1 then ways[1] else '(' || array_to_string(ways, e'\n   or ') || ')' end;
end
$function$;
