-- Deletes exceptions captured more than p_retention_days ago, with all that belongs to them.
create function public.cleanup_old_exceptions(
    p_retention_days integer default 365,
    p_batch_size integer default 1000,
    p_dry_run boolean default true,
    p_preserve_critical boolean default true
) returns table (
    deleted_exceptions integer,
    deleted_retry_attempts integer,
    preserved_critical integer,
    cleanup_duration interval
)
language plpgsql as $function$
declare
    started constant timestamptz := clock_timestamp();
    done jsonb;
begin
    perform sexton.checked_argument('p_batch_size', p_batch_size);
    done := sexton.run_exceptions('cleanup', 'OLD', p_retention_days, sexton.days_ago('p_retention_days', p_retention_days), p_batch_size,
        p_dry_run, p_preserve_critical, session_user, started);
    return query select (done ->> 'rows')::integer, coalesce((done #>> '{children,retry_attempts}')::integer, 0),
        (done #>> '{totals,kept_critical}')::integer, clock_timestamp() - started;
end
$function$;
