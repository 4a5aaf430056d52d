-- Writes a line into the application's own log of migrations, where the definition names one and it is there.
--
-- The line says `source`, `read`, `migrated`, `failed`, `started_at`, `dry_run`, `broken` (whether the operation itself
-- failed), `by`, `details`. Says whether it was written. The log has no column for a dry run, so its type says so.
create or replace function sexton.log_migration(definition jsonb, line jsonb) returns boolean
language plpgsql as $function$
declare
    name constant text := definition #>> '{log,migration}';
    log_table text;
begin
    if name is null then
        return false;
    end if;
    select format('%I.%I', n.nspname, c.relname) into log_table
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = name and c.relkind in ('r', 'p');
    if log_table is null then
        raise warning 'the log table % is not here; the migration is not logged', name;
        return false;
    end if;
    execute format('insert into %s (migration_type, source_table, records_processed, records_migrated, records_failed, started_at, completed_at, status, error_details, initiated_by) values ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7, $8, $9)', log_table)
    using case when (line ->> 'dry_run')::boolean then 'LEGACY_MIGRATION_DRY_RUN' else 'LEGACY_MIGRATION' end,
        left(line ->> 'source', 255),
        -- The log's counts are integers; a bigger count is worth more than an error.
        least((line ->> 'read')::bigint, 2147483647)::integer,
        least((line ->> 'migrated')::bigint, 2147483647)::integer,
        least((line ->> 'failed')::bigint, 2147483647)::integer,
        (line ->> 'started_at')::timestamptz,
        case when (line ->> 'broken')::boolean then 'FAILED' else 'COMPLETED' end,
        line ->> 'details',
        left(line ->> 'by', 255);
    return true;
end
$function$;
