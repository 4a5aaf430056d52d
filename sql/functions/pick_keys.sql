-- Some of the keys, by their places.
create or replace function sexton.pick_keys(keys text[], places integer[]) returns text[]
language sql immutable
begin atomic
    select array_agg(column_keys order by c)
    from (
        select c, array_agg(keys[c][places[i]] order by i) as column_keys
        from generate_series(1, array_length(keys, 1)) c, generate_series(1, cardinality(places)) i
        group by c
    ) picked;
end;
