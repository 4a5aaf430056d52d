-- Sequences that belong to columns of the tables $1 (quoted names) or of those above them: quoted, and as a table of
-- contents writes them.
with recursive it as (
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where format('%I.%I', n.nspname, c.relname) = any($1)
    union
    select i.inhparent from it join pg_inherits i on i.inhrelid = it.oid
)
select format('%I.%I', n.nspname, s.relname) as name, format('%s %s', n.nspname, s.relname) as plain
from it
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = it.oid and d.deptype in ('a', 'i')
join pg_class s on d.classid = 'pg_class'::regclass and s.oid = d.objid and s.relkind = 'S'
join pg_namespace n on n.oid = s.relnamespace
order by 1
