-- Moves archived exceptions back, with all that belongs to them; says of each that cannot come back why.
create function public.restore_archived_exceptions(
    p_transaction_ids text[],
    p_restored_by varchar(255) default 'system'
) returns table (
    restored_exceptions integer,
    restored_retry_attempts integer,
    failed_restorations text[]
)
language plpgsql
set lock_timeout = '2s'
as $function$
declare
    started constant timestamptz := clock_timestamp();
    definition constant jsonb := sexton.definition_of('interface_exceptions');
    done jsonb;
begin
    if p_transaction_ids is null then
        raise exception using errcode = '22023', message = 'p_transaction_ids is null; it must be a list of transaction ids',
            hint = 'call it with p_transaction_ids => array[''TX-1'', ''TX-2'']';
    end if;
    perform sexton.check_order(definition, '{"from": "archive", "to": "main"}');
    perform sexton.heal(definition);
    done := sexton.restore_step(definition, p_transaction_ids);
    perform sexton.log_operation(definition, jsonb_build_object('operation', 'restore', 'what', 'RESTORE', 'rows', done -> 'rows',
        'kept', 0, 'started_at', started, 'by', session_user,
        'notes', concat('restored by ', p_restored_by, ', refused ', jsonb_array_length(done -> 'refused'))));
    return query select (done ->> 'rows')::integer, coalesce((done #>> '{children,retry_attempts}')::integer, 0), array(
        select concat('Transaction ', coalesce(r ->> 'name', '(null)'),
            case when r ->> 'why' in ('not found in archive', 'already exists in main table') then ' ' else ': ' end, r ->> 'why')
        from jsonb_array_elements(done -> 'refused') with ordinality l (r, place)
        order by place
    );
end
$function$;
