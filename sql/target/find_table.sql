-- Find table $2 in schema $1; without a schema, where the search path finds it.
select c.oid,
       n.nspname::text as schema,
       c.relname::text as name,
       c.relkind::text as kind
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relname = $2::text
  and (n.nspname = $1::text or ($1::text is null and pg_table_is_visible(c.oid)))
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
