-- The columns of table $1 (`schema.table`), for "did you mean".
select a.attname::text
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname || '.' || c.relname = $1
  and a.attnum > 0
  and not a.attisdropped
order by a.attnum
