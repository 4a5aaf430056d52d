-- The schema and name, as the catalog has them, of the table that a person calls $1.
select n.nspname || '.' || c.relname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = sexton.migrate_source($1)
