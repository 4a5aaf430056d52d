-- What the functions of the exceptions data set have in common: an order from their arguments, carried out and logged.
create or replace function sexton.run_exceptions(
    operation text, what text, days integer, cutoff timestamptz, batch integer, dry_run boolean, keep_critical boolean, by text, started timestamptz
) returns jsonb
language plpgsql as $function$
declare
    definition constant jsonb := sexton.definition_of('interface_exceptions');
    -- What is not clearly asked for is not done.
    dry constant boolean := coalesce(dry_run, true);
    done jsonb;
begin
    done := sexton.run_order(definition, jsonb_build_object(
        'from', 'main',
        'to', case operation when 'archive' then 'archive' else 'nowhere' end,
        'select', lower(what),
        'keep_critical', coalesce(keep_critical, true),
        'keep_open', false,
        'by', by,
        'reason', 'automated_archival'
    ), cutoff, batch, dry);
    perform sexton.log_operation(definition, jsonb_build_object('operation', operation, 'what', what, 'days', days,
        'rows', done -> 'rows', 'kept', done #> '{totals,kept_critical}', 'started_at', started, 'dry_run', dry, 'by', session_user,
        'notes', concat('called by hand, batches of ', batch,
            case when (done ->> 'skipped')::bigint > 0 then concat('; ', done ->> 'skipped', ' rows in use stayed') end,
            case when done -> 'stuck' <> '[]' then concat('; ', jsonb_array_length(done -> 'stuck'), ' rows could not move: ', done #>> '{stuck,0,why}') end)));
    return done;
end
$function$;
