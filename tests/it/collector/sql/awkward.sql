-- Makes every seventh row awkward: text that breaks careless quoting or copying, whole histories, odd moments.
-- The triggers sleep meanwhile, so that no row's times move. Columns that only V16 adds are filled where they are.

alter table public.interface_exceptions disable trigger user;
alter table public.order_items disable trigger user;

update public.interface_exceptions
set exception_reason = (array[
        'O''Neill said "no"; drop table interface_exceptions; --', E'two\nlines\tand a \\N that COPY knows',
        'bäd ünïcode — 血液 🩸', '{"looks": "like json"}', repeat('a long reason ', 700)])[1 + id % 5],
    external_id = case id % 3 when 0 then null when 1 then '' else '%s %I $1 :name' end,
    resolution_notes = case when status in ('RESOLVED', 'CLOSED') then E'solved\r\nby ''hand''' end,
    customer_id = nullif(customer_id, 'CUST007'),
    max_retries = 3 + (id % 4)::integer,
    -- Kept for years; microseconds matter.
    processed_at = processed_at - (id % 2) * interval '3 years' + id * interval '1 microsecond'
where id % 7 = 0;

update public.retry_attempts
set result_error_details = jsonb_build_object('attempt', attempt_number, 'deep', jsonb_build_array(1, null, 'ü"''\')),
    result_message = E'refused:\n\t"\\x00"'
where exception_id % 7 = 0;

update public.exception_status_changes
set notes = 'seen by ''' || coalesce(changed_by, 'nobody') || '''', changed_by = case when id % 3 = 0 then null else changed_by end
where exception_id % 7 = 0;

do $$
begin
    if exists (select from pg_attribute where attrelid = 'public.interface_exceptions'::regclass
               and attname = 'order_received' and not attisdropped) then
        update public.interface_exceptions e
        set order_received = jsonb_build_object(
                'externalId', external_id, 'customerId', customer_id, 'quantity', 1.50,
                'orderItems', (select coalesce(jsonb_agg(jsonb_build_object('family', product_family, 'n', quantity) order by i.id), '[]')
                               from public.order_items i where i.interface_exception_id = e.id)),
            order_retrieval_attempted = case when id % 11 = 0 then null else true end,
            order_retrieval_error = case when id % 5 = 0 then 'no answer; ''timeout''' end,
            order_retrieved_at = processed_at + interval '3 minutes'
        where interface_type = 'ORDER';
    end if;
end
$$;

alter table public.interface_exceptions enable trigger user;
alter table public.order_items enable trigger user;
