-- The statement that finds parent rows in `source` by the names in $4: their names, how many rows each names, and
-- their keys (a row of the array for each column of the key).
create or replace function sexton.named_sql(definition jsonb, key jsonb, source text) returns text
language sql stable
begin atomic
    select format(
        e'select array_agg(n), array_agg(times), array[%s]\nfrom (select %s as n, count(*) as times, %s from %s t where %2$s = any ($4::text[]) group by 1) f',
        string_agg(format('array_agg(k%s)', place), ', ' order by place),
        sexton.name_sql(definition),
        string_agg(format('max(t.%I::text) as k%s', c ->> 'name', place), ', ' order by place),
        source
    )
    from jsonb_array_elements(key) with ordinality l (c, place);
end;
