-- History parts: the partitions of part $1 of the history that are for some days, the oldest first, and the time.
select now() as now,
       coalesce(array_agg(name order by starts) filter (where name is not null), '{}') as names,
       coalesce(array_agg(starts order by starts) filter (where name is not null), '{}') as starts,
       coalesce(array_agg(ends order by starts) filter (where name is not null), '{}') as ends
from (
    select partition.relname::text as name,
           substring(bounds from $$FROM \('([^']+)'$$)::timestamptz as starts,
           substring(bounds from $$TO \('([^']+)'$$)::timestamptz as ends
    from pg_inherits
    join pg_class as partition on partition.oid = inhrelid
    cross join lateral (select pg_get_expr(partition.relpartbound, partition.oid) as bounds) as written
    where inhparent = ('sexton.' || $1::text)::regclass
      and bounds <> 'DEFAULT'
) as parts
