-- Pressure: what the server is under at this moment; every session and replica counts but our own sessions. What the
-- user may not see is null.
select current_user::text as who,
       current_database()::text as database,
       pg_has_role('pg_read_all_stats', 'usage') as sees_all,
       extract(epoch from clock_timestamp())::float8 as at,
       wal.at::float8 as wal,
       (
           select count(*)
           from pg_stat_activity
           where state = 'active'
             and backend_type = 'client backend'
             and (usename, application_name) is distinct from (session_user, current_setting('application_name'))
       ) as active,
       greatest(
           (select max(age(backend_xmin)) from pg_stat_activity where pid <> pg_backend_pid()),
           (select max(greatest(age(xmin), age(catalog_xmin))) from pg_replication_slots),
           0
       )::bigint as xmin_age,
       (
           select coalesce(
               jsonb_agg(
                   jsonb_build_object(
                       'name', application_name,
                       'state', state,
                       'lag', extract(epoch from replay_lag),
                       'silent', extract(epoch from clock_timestamp() - reply_time),
                       'behind', pg_wal_lsn_diff(wal.lsn, replay_lsn)
                   )
                   order by application_name
               ),
               '[]'
           )
           from pg_stat_replication
       ) as replicas,
       (
           select coalesce(
               jsonb_agg(
                   jsonb_build_object(
                       'name', slot_name,
                       'status', wal_status,
                       'kept', pg_wal_lsn_diff(wal.lsn, restart_lsn),
                       'left', safe_wal_size
                   )
                   order by slot_name
               ),
               '[]'
           )
           from pg_replication_slots
       ) as slots
from (
    -- A standby has no current position, and nobody moves rows there.
    select lsn, pg_wal_lsn_diff(lsn, '0/0') as at
    from (select case when not pg_is_in_recovery() then pg_current_wal_lsn() end as lsn) s
) wal
