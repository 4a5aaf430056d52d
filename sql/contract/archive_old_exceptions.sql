-- Moves exceptions captured more than p_archive_days ago, with all that belongs to them, to the archive.
create function public.archive_old_exceptions(
    p_archive_days integer default 730,
    p_batch_size integer default 1000,
    p_dry_run boolean default true,
    p_preserve_critical boolean default true,
    p_archived_by varchar(255) default 'system'
) returns table (
    archived_exceptions integer,
    archived_retry_attempts integer,
    preserved_critical integer,
    archive_duration interval
)
language plpgsql as $function$
declare
    started constant timestamptz := clock_timestamp();
    done jsonb;
begin
    perform sexton.checked_argument('p_batch_size', p_batch_size);
    done := sexton.run_exceptions('archive', 'OLD', p_archive_days, sexton.days_ago('p_archive_days', p_archive_days), p_batch_size,
        p_dry_run, p_preserve_critical, p_archived_by, started);
    return query select (done ->> 'rows')::integer, coalesce((done #>> '{children,retry_attempts}')::integer, 0),
        (done #>> '{totals,kept_critical}')::integer, clock_timestamp() - started;
end
$function$;
