-- A database $1 as it is: who owns it, how many sessions it has; its size, where the user may see it.
select
    pg_has_role(d.datdba, 'USAGE') as is_ours,
    case
        when has_database_privilege(d.oid, 'CONNECT') or pg_has_role('pg_read_all_stats', 'USAGE')
            then pg_database_size(d.oid)
    end as bytes,
    (select count(*) from pg_stat_activity a where a.datid = d.oid and a.pid <> pg_backend_pid()) as sessions
from pg_database d
where d.datname = $1
