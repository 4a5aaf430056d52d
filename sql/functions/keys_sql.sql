-- The condition that `columns` of `name` are the key of a given parent row: of `t` where `query` is 't', of those that
-- a query gives, or, without one, of the arrays in $5, one for each column of the key.
create or replace function sexton.keys_sql(key jsonb, name text, columns jsonb, query text) returns text
language plpgsql stable as $function$
declare
    width constant integer := jsonb_array_length(key);
begin
    if query = 't' then
        return format('(%s) = (%s)', sexton.columns_sql(name, columns), (
            select string_agg(format('t.%I', c ->> 'name'), ', ' order by place)
            from jsonb_array_elements(key) with ordinality l (c, place)
        ));
    elsif query is not null then
        return format('(%s) in (%s)', sexton.columns_sql(name, columns), query);
    elsif width = 1 then
        -- An array is looked up in the index whatever the planner thinks of its length.
        return format('%s = any ($5::text[]::%s[])', sexton.columns_sql(name, columns), key -> 0 ->> 'type');
    end if;
    return format('(%s) in (select * from unnest(%s))', sexton.columns_sql(name, columns), (
        select string_agg(format('($5::text[])[%s:%1$s]::%s[]', place, c ->> 'type'), ', ' order by place)
        from jsonb_array_elements(key) with ordinality l (c, place)
    ));
end
$function$;
