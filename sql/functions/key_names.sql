-- Keys as people read them, one text for each row.
create or replace function sexton.key_names(keys text[]) returns text[]
language sql immutable
begin atomic
    select array_agg(name order by at)
    from (
        select at, string_agg(keys[c][at], ', ' order by c) as name
        from generate_series(1, array_length(keys, 2)) at, generate_series(1, array_length(keys, 1)) c
        group by at
    ) named;
end;
