-- Fills the exception collector's tables with exceptions of every status, severity, category, type and age.
--
-- How many: select set_config('sexton.sample_rows', '3000', false). The same count gives the same rows, but for
-- the day they count back from. Ages are whole days and a half, so that no row crosses a retention while you look.
-- References all hold; 7 recent RESOLVED rows lack their resolved_at, for validation to find.

-- An even choice of 0 .. below - 1 for row `i`; each `salt` is a choice of its own.
create function pg_temp.pick(i bigint, salt integer, below integer) returns integer language plpgsql immutable as $$
declare
    x bigint := (i * 2654435761 + salt * 40503::bigint * 65537) & 4294967295;
begin
    x := ((x # (x >> 15)) * 1274126177) & 4294967295;
    x := ((x # (x >> 13)) * 1911520717) & 4294967295;
    return ((x # (x >> 16)) % below)::integer;
end
$$;

create temp table sample_case on commit drop as
with numbered as (
    select i,
           pg_temp.pick(i, 1, 901) as days,
           pg_temp.pick(i, 2, 540) as minutes,
           pg_temp.pick(i, 3, 20) as status_pick,
           pg_temp.pick(i, 4, 10) as severity_pick
    from generate_series(1, coalesce(nullif(current_setting('sexton.sample_rows', true), ''), '3000')::bigint) i
), chosen as (
    select i,
           -- The 7 that lack their resolved_at stay too young for any shipped retention.
           case when i <= 7 then 10 + i::integer else days end as days,
           minutes,
           case
               when i <= 7 then 'RESOLVED'
               else (array['RESOLVED', 'RESOLVED', 'RESOLVED', 'RESOLVED', 'RESOLVED', 'RESOLVED', 'RESOLVED',
                           'CLOSED', 'CLOSED', 'CLOSED', 'CLOSED', 'NEW', 'NEW', 'ACKNOWLEDGED', 'ACKNOWLEDGED',
                           'RETRIED_SUCCESS', 'RETRIED_SUCCESS', 'RETRIED_FAILED', 'ESCALATED', 'ESCALATED'])[status_pick + 1]
           end as status,
           (array['LOW', 'LOW', 'MEDIUM', 'MEDIUM', 'MEDIUM', 'MEDIUM', 'HIGH', 'HIGH', 'HIGH', 'CRITICAL'])[severity_pick + 1]
               as severity,
           (array['ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT'])[pg_temp.pick(i, 5, 4) + 1] as interface_type,
           (array['BUSINESS_RULE', 'VALIDATION', 'SYSTEM_ERROR', 'TIMEOUT', 'NETWORK'])[pg_temp.pick(i, 6, 5) + 1] as category
    from numbered
)
select *,
       now() - make_interval(days => days, hours => 12, mins => minutes) as captured_at,
       -- One in five is not worth retrying; what was retried has at least one attempt.
       case
           when status in ('RETRIED_SUCCESS', 'RETRIED_FAILED') then 1 + pg_temp.pick(i, 7, 3)
           when pg_temp.pick(i, 8, 5) = 0 then 0
           else pg_temp.pick(i, 9, 4)
       end as attempts,
       status in ('RETRIED_SUCCESS', 'RETRIED_FAILED') or pg_temp.pick(i, 8, 5) > 0 as retryable,
       case interface_type
           when 'ORDER' then 1 + pg_temp.pick(i, 10, 3)
           when 'DISTRIBUTION' then pg_temp.pick(i, 10, 3)
           else 0
       end as items
from chosen;

insert into public.interface_exceptions (
    id, transaction_id, interface_type, exception_reason, operation, external_id, status, severity, category,
    retryable, customer_id, location_code, "timestamp", processed_at, acknowledged_at, acknowledged_by,
    resolved_at, resolved_by, retry_count, last_retry_at, created_at, updated_at, resolution_method,
    resolution_notes, acknowledgment_notes, updated_by)
select i,
       'TX-' || lpad(to_hex(i * 2654435761 % 4294967296), 8, '0') || '-' || lpad(i::text, 8, '0'),
       interface_type,
       (array['The external id is already taken by another order', 'Inventory is short of the units asked for',
              'A product is past its expiry date', 'The cross-match is not compatible',
              'A product was recalled after it was reserved', 'The cold chain was broken on the way',
              'The customer is not known at this location', 'The partner did not answer in time',
              'The connection was closed before the reply', 'A required field was empty',
              'The donation is still in quarantine', 'The quantity exceeds the contract',
              'The label does not match the unit', 'The shipment has no destination'])[pg_temp.pick(i, 11, 14) + 1],
       case interface_type
           when 'ORDER' then (array['CREATE_ORDER', 'MODIFY_ORDER', 'CANCEL_ORDER'])[pg_temp.pick(i, 12, 3) + 1]
           when 'COLLECTION' then 'CREATE_COLLECTION'
           when 'DISTRIBUTION' then 'CREATE_DISTRIBUTION'
           else 'REGISTER_DONOR'
       end,
       case when pg_temp.pick(i, 13, 12) > 0 then interface_type || '-' || (100000 + i) end,
       status, severity, category, retryable,
       'CUST' || lpad((1 + pg_temp.pick(i, 14, 40))::text, 3, '0'),
       (array['HOSP-NORTH', 'HOSP-SOUTH', 'HOSP-EAST', 'HOSP-WEST', 'HOSP-CENTRAL', 'CLINIC-LAKE', 'CLINIC-HILL', 'DEPOT-1'])
           [pg_temp.pick(i, 15, 8) + 1],
       captured_at - make_interval(secs => 1 + pg_temp.pick(i, 16, 300)),
       captured_at,
       case when status in ('ACKNOWLEDGED', 'ESCALATED', 'RESOLVED', 'CLOSED') then captured_at + interval '20 minutes' end,
       case when status in ('ACKNOWLEDGED', 'ESCALATED', 'RESOLVED', 'CLOSED')
            then 'operator' || (1 + pg_temp.pick(i, 17, 6)) || '@example.org' end,
       case when status in ('RESOLVED', 'CLOSED') and i > 7 then captured_at + interval '5 hours' end,
       case when status in ('RESOLVED', 'CLOSED') then 'operator' || (1 + pg_temp.pick(i, 17, 6)) || '@example.org' end,
       attempts,
       case when attempts > 0 then captured_at + make_interval(mins => 30 * attempts) end,
       captured_at, captured_at + interval '6 hours',
       case
           when status in ('RESOLVED', 'CLOSED') and attempts > 0 then 'RETRY_SUCCESS'
           when status in ('RESOLVED', 'CLOSED')
               then (array['MANUAL_RESOLUTION', 'CUSTOMER_RESOLVED', 'AUTOMATED'])[pg_temp.pick(i, 18, 3) + 1]
       end,
       case when status in ('RESOLVED', 'CLOSED') and pg_temp.pick(i, 19, 3) = 0 then 'Corrected at the source and sent again.' end,
       case when status = 'ACKNOWLEDGED' then 'Looking into it.' end,
       case when status <> 'NEW' then 'operator' || (1 + pg_temp.pick(i, 17, 6)) || '@example.org' end
from sample_case;

insert into public.retry_attempts (
    exception_id, attempt_number, status, initiated_by, initiated_at, completed_at, result_success, result_message,
    result_response_code, result_error_details, created_at, updated_at)
select i, n,
       case when won then 'SUCCESS' else 'FAILED' end,
       case when n = 1 then 'automatic' else 'operator' || (1 + pg_temp.pick(i, 17, 6)) || '@example.org' end,
       captured_at + make_interval(mins => 30 * n - 2),
       captured_at + make_interval(mins => 30 * n),
       won,
       case when won then 'Accepted' else 'The partner refused the message' end,
       case when won then 202 else (array[408, 409, 422, 500, 503])[pg_temp.pick(i * 4 + n, 20, 5) + 1] end,
       case when not won then jsonb_build_object('attempt', n, 'category', category) end,
       captured_at + make_interval(mins => 30 * n - 2),
       captured_at + make_interval(mins => 30 * n)
from sample_case
cross join lateral generate_series(1, attempts) n
cross join lateral (select n = attempts and status in ('RETRIED_SUCCESS', 'RESOLVED', 'CLOSED') as won) result;

insert into public.order_items (interface_exception_id, blood_type, product_family, quantity, created_at, updated_at)
select i,
       (array['O+', 'O-', 'A+', 'A-', 'B+', 'B-', 'AB+', 'AB-'])[pg_temp.pick(i * 4 + n, 21, 8) + 1],
       (array['RED_BLOOD_CELLS', 'PLATELETS', 'FRESH_FROZEN_PLASMA', 'WHOLE_BLOOD', 'CRYOPRECIPITATE'])
           [pg_temp.pick(i * 4 + n, 22, 5) + 1],
       1 + pg_temp.pick(i * 4 + n, 23, 5),
       captured_at, captured_at
from sample_case
cross join lateral generate_series(1, items) n;

insert into public.exception_status_changes (exception_id, from_status, to_status, changed_by, changed_at, reason, created_at)
select i, from_status, to_status,
       case when from_status is null then 'SYSTEM' else 'operator' || (1 + pg_temp.pick(i, 17, 6)) || '@example.org' end,
       captured_at + after, reason, captured_at + after
from sample_case
cross join lateral (
    values (null, 'NEW', interval '0', 'Captured', true),
           ('NEW', 'ACKNOWLEDGED', interval '20 minutes', 'Seen', status in ('ACKNOWLEDGED', 'ESCALATED', 'RESOLVED', 'CLOSED')),
           ('NEW', status, interval '2 hours', 'Sent again', status in ('RETRIED_SUCCESS', 'RETRIED_FAILED')),
           ('ACKNOWLEDGED', 'ESCALATED', interval '3 hours', 'Passed on', status = 'ESCALATED'),
           ('ACKNOWLEDGED', 'RESOLVED', interval '5 hours', 'Solved', status in ('RESOLVED', 'CLOSED')),
           ('RESOLVED', 'CLOSED', interval '6 hours', 'Confirmed', status = 'CLOSED')
) change (from_status, to_status, after, reason, happened)
where happened;

-- The rows above brought their own ids.
select setval(pg_get_serial_sequence('public.interface_exceptions', 'id'), (select max(id) from public.interface_exceptions));

analyze public.interface_exceptions, public.retry_attempts, public.order_items, public.exception_status_changes;
