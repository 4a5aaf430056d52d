-- Two moves' counts as one.
create or replace function sexton.sum_moves(a jsonb, b jsonb) returns jsonb
language sql immutable
begin atomic
    select jsonb_build_object(
        'rows', (a ->> 'rows')::bigint + (b ->> 'rows')::bigint,
        'busy', (a -> 'busy') || (b -> 'busy'),
        'stuck', (a -> 'stuck') || (b -> 'stuck'),
        'children', (
            select coalesce(jsonb_object_agg(label, rows), '{}')
            from (
                select label, sum(rows::bigint) as rows
                from (
                    select * from jsonb_each_text(a -> 'children') x (label, rows)
                    union all
                    select * from jsonb_each_text(b -> 'children') y (label, rows)
                ) both_of_them
                group by label
            ) summed
        )
    );
end;
