-- Migrates the rows of a legacy table into the exceptions. What it refuses is in sexton.quarantine, with the reason.
create function public.migrate_legacy_exceptions(
    p_source_table text,
    p_batch_size integer default 1000,
    p_dry_run boolean default true
) returns table (
    migrated_count integer,
    error_count integer,
    validation_errors text[]
)
language plpgsql as $function$
declare
    started constant timestamptz := clock_timestamp();
    definition constant jsonb := sexton.definition_of('interface_exceptions');
    -- What is not clearly asked for is not done.
    dry constant boolean := coalesce(p_dry_run, true);
    done jsonb;
    errors text[];
begin
    perform sexton.checked_argument('p_batch_size', p_batch_size);
    done := sexton.migrate(definition, p_source_table, p_batch_size, dry);
    errors := array(
        select format('Record ID %s: %s', s ->> 'record', s ->> 'reason')
        from jsonb_array_elements(done -> 'samples') with ordinality l (s, place)
        order by place
    );
    if (done ->> 'invalid')::bigint > cardinality(errors) then
        errors := errors || format('… and %s more%s', (done ->> 'invalid')::bigint - cardinality(errors),
            case when not dry then ': all of them are in sexton.quarantine' end);
    end if;
    perform sexton.log_migration(definition, jsonb_build_object('source', done -> 'source', 'read', done -> 'read', 'migrated', done -> 'migrated',
        'failed', done -> 'invalid', 'started_at', started, 'dry_run', dry, 'broken', false, 'by', session_user,
        'details', concat('called by hand, batches of ', p_batch_size, '; ', done ->> 'there', ' rows were there already',
            case when (done ->> 'invalid')::bigint > 0 then concat('; first refusal: ', errors[1]) end)));
    return query select least((done ->> 'migrated')::bigint, 2147483647)::integer, least((done ->> 'invalid')::bigint, 2147483647)::integer, errors;
end
$function$;
