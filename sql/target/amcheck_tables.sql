-- What is corrupt in tables, some of it.
select c.oid::regclass::text as name, v.msg
from pg_class c
cross join lateral sexton_amcheck.verify_heapam(c.oid) v
where c.relkind in ('r', 'm', 't') and c.relpersistence <> 't'
limit 20
