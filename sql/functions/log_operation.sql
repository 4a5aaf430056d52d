-- Writes a line into the application's own log of data operations, where the definition names one and it is there.
--
-- The line says `operation` (archive, cleanup, restore), `what` (OLD, RESOLVED, RESTORE), `days`, `rows`, `kept`,
-- `started_at`, `failed`, `dry_run`, `by`, `notes`. Says whether it was written.
create or replace function sexton.log_operation(definition jsonb, line jsonb) returns boolean
language plpgsql as $function$
declare
    log constant text := case line ->> 'operation' when 'cleanup' then 'cleanup' else 'archive' end;
    log_table constant text := sexton.log_table(definition -> 'log' ->> log);
    started constant timestamptz := line ->> 'started_at';
    -- The log's counts are integers; a bigger count is worth more than an error.
    rows constant integer := least((line ->> 'rows')::bigint, 2147483647);
begin
    if log_table is null then
        return false;
    end if;
    execute case log
        when 'cleanup' then format('insert into %s (cleanup_type, retention_days, records_deleted, records_preserved, started_at, completed_at, duration, status, dry_run, initiated_by, notes) values ($1, $2, $3, $5, $6, clock_timestamp(), clock_timestamp() - $6, $7, $8, $9, $10)', log_table)
        else format('insert into %s (archive_type, archive_days, records_archived, records_restored, started_at, completed_at, duration, status, dry_run, initiated_by, notes) values ($1, $2, $3, $4, $6, clock_timestamp(), clock_timestamp() - $6, $7, $8, $9, $10)', log_table)
    end
    using concat(line ->> 'what', '_', definition #>> '{log,noun}'),
        case when line ->> 'days' is not null then least((line ->> 'days')::bigint, 2147483647)::integer end,
        case when line ->> 'operation' = 'restore' then 0 else rows end,
        case when line ->> 'operation' = 'restore' then rows else 0 end,
        least((line ->> 'kept')::bigint, 2147483647)::integer,
        started,
        case when (line ->> 'failed')::boolean then 'FAILED' else 'COMPLETED' end,
        coalesce((line ->> 'dry_run')::boolean, false),
        left(line ->> 'by', 255),
        line ->> 'notes';
    return true;
end
$function$;
