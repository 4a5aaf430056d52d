-- Adds up what batches of a migration did.
create or replace function sexton.sum_batches(a jsonb, b jsonb) returns jsonb
language sql immutable
begin atomic
    select jsonb_object_agg(c.name, coalesce((a ->> c.name)::bigint, 0) + coalesce((b ->> c.name)::bigint, 0))
        || jsonb_build_object('samples', (
            select coalesce(jsonb_agg(s.sample order by s.place), '[]')
            from (
                select l.sample, l.place
                from jsonb_array_elements((a -> 'samples') || (b -> 'samples')) with ordinality l (sample, place)
                order by l.place
                limit 100
            ) s
        ))
    from unnest(array['read', 'migrated', 'there', 'invalid', 'quarantined']) c (name);
end;
