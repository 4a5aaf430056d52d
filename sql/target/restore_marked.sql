-- Databases that carry a comment which begins with $1, with their sessions and the server's time.
select
    d.datname::text as name,
    shobj_description(d.oid, 'pg_database') as comment,
    (select count(*) from pg_stat_activity a where a.datid = d.oid) as sessions,
    now() as now
from pg_database d
where starts_with(shobj_description(d.oid, 'pg_database'), $1)
order by name
