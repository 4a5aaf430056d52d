-- The foreign keys that reference table $1; those of single partitions are part of their table's.
select k.conname::text as name,
       k.confdeltype::text as on_delete,
       c.oid,
       n.nspname::text as schema,
       c.relname::text as table_name,
       array(
           select a.attname::text
           from unnest(k.conkey) with ordinality x (number, place)
           join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.number
           order by x.place
       ) as columns,
       array(
           select a.attname::text
           from unnest(k.confkey) with ordinality x (number, place)
           join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.number
           order by x.place
       ) as referenced
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f'
  and k.confrelid = $1
  and k.conparentid = 0
order by n.nspname, c.relname, k.conname
