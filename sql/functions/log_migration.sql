-- Writes a line into the application's own log of migrations, where the definition names one and it is there.
--
-- The line says `source`, `read`, `migrated`, `failed`, `started_at`, `dry_run`, `broken` (whether the operation itself
-- failed), `by`, `details`. Says whether it was written. The log has no column for a dry run, so its type says so.
create or replace function sexton.log_migration(definition jsonb, line jsonb) returns boolean
language plpgsql as $function$
declare
    log_table constant text := sexton.log_table(definition #>> '{log,migration}');
begin
    if log_table is null then
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
