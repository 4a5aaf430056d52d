-- Whether this server takes writes: a standby, one that is read-only, or the WAL timeline that it writes on.
select pg_is_in_recovery() as standby,
       current_setting('transaction_read_only')::bool as read_only,
       case when not pg_is_in_recovery()
            then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
       end as timeline
