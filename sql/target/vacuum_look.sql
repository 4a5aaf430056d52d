-- The tables of data set $1 that rows leave when they are taken from $2 (`main` or `archive`), and their archives if
-- rows arrive there ($3): how big they are, how many dead rows they have, and whether our user may vacuum them.
with tables as (
    select place, node ->> 'label' as label, $2::text = 'main' as leaves,
           (node ->> 'oid')::oid as oid, node ->> 'table' as name, node ->> 'sql' as sql
    from jsonb_array_elements(sexton.shape($1::jsonb) -> 'nodes') with ordinality n (node, place)
    where $2::text = 'main'
    union all
    select place, node ->> 'label', $2::text = 'archive',
           (node #>> '{archive,oid}')::oid, node #>> '{archive,table}', node #>> '{archive,sql}'
    from jsonb_array_elements(sexton.shape($1::jsonb) -> 'nodes') with ordinality n (node, place)
    where ($2::text = 'archive' or $3::boolean) and node #>> '{archive,oid}' is not null
), leaves as (
    -- Of a partitioned table only its partitions hold rows.
    select t.oid as root, t.oid as leaf
    from tables t
    join pg_class c on c.oid = t.oid and c.relkind <> 'p'
    union all
    select t.oid, p.relid
    from tables t
    join pg_class c on c.oid = t.oid and c.relkind = 'p'
    cross join lateral pg_partition_tree(t.oid) p
    where p.isleaf
)
select t.place, t.label, t.leaves, t.name, t.sql, pg_get_userbyid(c.relowner)::text as owner,
       pg_has_role(c.relowner, 'usage')
           or (select pg_has_role(datdba, 'usage') from pg_database where datname = current_database())
           or (
               current_setting('server_version_num')::integer >= 170000
               and has_table_privilege(t.oid, case when current_setting('server_version_num')::integer >= 170000 then 'maintain' else 'select' end)
           ) as may,
       coalesce(sum(pg_relation_size(l.leaf)), 0)::bigint as bytes,
       coalesce(sum(pg_stat_get_live_tuples(l.leaf)), 0)::bigint as live,
       coalesce(sum(pg_stat_get_dead_tuples(l.leaf)), 0)::bigint as dead,
       -- How often each of its parts was vacuumed, by hand and by autovacuum.
       coalesce(min(pg_stat_get_vacuum_count(l.leaf) + pg_stat_get_autovacuum_count(l.leaf)), 0)::bigint as vacuums
from tables t
join pg_class c on c.oid = t.oid
left join leaves l on l.root = t.oid
group by t.place, t.label, t.leaves, t.name, t.sql, t.oid, c.relowner
order by t.leaves desc, t.place
