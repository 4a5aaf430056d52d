-- Materialized views: quoted, and as a table of contents writes them.
select format('%I.%I', n.nspname, c.relname) as name, format('%s %s', n.nspname, c.relname) as plain
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm'
order by name
