-- Log days: the partitions of the log that are for one day, by name, and the days today, tomorrow and $1 ago.
select coalesce((
           select array_agg(partition.relname::text order by partition.relname)
           from pg_inherits
           join pg_class as partition on partition.oid = inhrelid
           where inhparent = 'sexton.run_log'::regclass
             and partition.relname ~ '^run_log_[0-9]{8}$'), '{}') as partitions,
       (now() at time zone 'UTC')::date as today,
       ((now() - $1::interval) at time zone 'UTC')::date as oldest
