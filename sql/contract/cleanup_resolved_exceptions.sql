-- Deletes exceptions that have been RESOLVED or CLOSED for more than p_resolved_retention_days, with all that belongs
-- to them.
create function public.cleanup_resolved_exceptions(
    p_resolved_retention_days integer default 90,
    p_batch_size integer default 1000,
    p_dry_run boolean default true,
    p_preserve_critical boolean default true
) returns table (
    deleted_count integer,
    cleanup_duration interval
)
language plpgsql as $function$
declare
    started constant timestamptz := clock_timestamp();
    done jsonb;
begin
    perform sexton.checked_argument('p_batch_size', p_batch_size);
    done := sexton.run_exceptions('cleanup', 'RESOLVED', p_resolved_retention_days,
        sexton.days_ago('p_resolved_retention_days', p_resolved_retention_days), p_batch_size,
        p_dry_run, p_preserve_critical, session_user, started);
    return query select (done ->> 'rows')::integer, clock_timestamp() - started;
end
$function$;
