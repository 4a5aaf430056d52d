-- Fills the sample's tables: `sexton.bench_rows` old resolved exceptions spread over 1,000 days, a tenth as many that
-- are too young to leave, and two retries for each. Ids grow with age's opposite, as where rows are captured one by one.

set local session_replication_role = replica;

create temp table bench_row on commit drop as
select i, i <= many as old,
       case when i <= many then now() - interval '1370 days' + i * (interval '1000 days' / many)
            else now() - interval '200 days' + (i - many) * (interval '190 days' / (many / 10 + 1)) end as captured_at
from (select current_setting('sexton.bench_rows')::bigint as many) asked
cross join lateral generate_series(1, many + many / 10) i;

insert into public.interface_exceptions (
    id, transaction_id, interface_type, exception_reason, operation, external_id, status, severity, category,
    customer_id, location_code, "timestamp", processed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by,
    retry_count, last_retry_at, created_at, updated_at, resolution_method, resolution_notes, updated_by)
select i, 'TX-' || md5(i::text),
       (array['ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT'])[1 + i % 4],
       'The external id is already taken by another order of this customer', 'CREATE_ORDER', 'ORDER-' || (100000 + i),
       case when i % 3 = 0 then 'CLOSED' else 'RESOLVED' end,
       (array['LOW', 'MEDIUM', 'HIGH'])[1 + i % 3], (array['VALIDATION', 'BUSINESS_RULE', 'TIMEOUT'])[1 + i % 3],
       'CUST' || lpad((i % 40)::text, 3, '0'), 'HOSP-' || i % 8,
       captured_at - interval '1 minute', captured_at, captured_at + interval '20 minutes', 'operator@example.org',
       captured_at + interval '5 hours', 'operator@example.org', 2, captured_at + interval '1 hour', captured_at,
       captured_at + interval '6 hours', 'RETRY_SUCCESS', 'Corrected at the source and sent again.', 'operator@example.org'
from bench_row;

insert into public.retry_attempts (
    exception_id, attempt_number, status, initiated_by, initiated_at, completed_at, result_success, result_message,
    result_response_code, created_at, updated_at)
select i, n, case n when 1 then 'FAILED' else 'SUCCESS' end, 'automatic', captured_at + n * interval '30 minutes',
       captured_at + n * interval '31 minutes', n = 2, case n when 1 then 'The partner refused the message' else 'Accepted' end,
       case n when 1 then 503 else 202 end, captured_at + n * interval '30 minutes', captured_at + n * interval '31 minutes'
from bench_row
cross join generate_series(1, 2) n;

select setval(pg_get_serial_sequence('public.interface_exceptions', 'id'), (select max(i) from bench_row));

-- What the concurrent load of the throttled run works on.
create table public.bench_account (id integer primary key, balance bigint not null, filler text not null);
insert into public.bench_account select i, 0, repeat('x', 80) from generate_series(1, 100000) i;
create table public.bench_history (
    id bigint generated always as identity primary key, account integer not null, delta integer not null,
    at timestamptz not null default now());
