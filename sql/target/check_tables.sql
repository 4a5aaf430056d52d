-- What the catalog says about the tables that checks name ($1): their columns with type and accepted values, the key
-- that names a row, and the conditions that a single column must keep.
with wanted (name) as (
    select distinct unnest($1::text[])
)
select w.name,
       f.oid::bigint as oid,
       format('%I.%I', f.schema, f.plain) as sql,
       coalesce(
           (
               select jsonb_object_agg(
                   a.attname,
                   jsonb_build_object(
                       'type', format_type(a.atttypid, null),
                       'labels', (
                           select jsonb_agg(e.enumlabel order by e.enumsortorder)
                           from pg_enum e
                           where e.enumtypid = a.atttypid
                       ),
                       'conditions', (
                           select jsonb_agg(pg_get_expr(k.conbin, k.conrelid) order by k.conname)
                           from pg_constraint k
                           where k.conrelid = f.oid and k.contype = 'c' and k.conkey = array[a.attnum]
                       )
                   )
               )
               from pg_attribute a
               where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped
           ),
           '{}'
       ) as columns,
       coalesce(
           (
               select jsonb_agg(a.attname order by k.place)
               from pg_index i
               cross join unnest(i.indkey::int2[]) with ordinality k (number, place)
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
               where i.indrelid = f.oid and i.indisprimary and k.place <= i.indnkeyatts
           ),
           '[]'
       ) as key
from wanted w
join lateral (
    -- A name may itself have dots, so each of them may end the schema.
    select c.oid, n.nspname as schema, c.relname as plain
    from (
        select left(w.name, at - 1) as schema, substr(w.name, at + 1) as plain
        from generate_series(1, length(w.name)) at
        where substr(w.name, at, 1) = '.'
        union all
        select null, w.name
    ) s
    join pg_class c on c.relname = s.plain and c.relkind in ('r', 'p', 'v', 'm', 'f')
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = s.schema or (s.schema is null and pg_table_is_visible(c.oid))
    order by s.schema nulls last
    limit 1
) f on true
