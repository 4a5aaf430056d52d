-- The same move as one statement, as a careful person writes it by hand: whole aggregates, all columns.
with due as materialized (
    select id
    from public.interface_exceptions
    where processed_at < now() - interval '365 days'
      and severity <> 'CRITICAL'
      and status in ('RESOLVED', 'CLOSED')
    for update
), retries as (
    delete from public.retry_attempts t using due where t.exception_id = due.id returning t.*
), items as (
    delete from public.order_items t using due where t.interface_exception_id = due.id returning t.*
), changes as (
    delete from public.exception_status_changes t using due where t.exception_id = due.id returning t.*
), parents as (
    delete from public.interface_exceptions t using due where t.id = due.id returning t.*
), kept_retries as (
    insert into public.retry_attempts_archive (
        id, exception_id, attempt_number, status, initiated_by, initiated_at, completed_at, result_success,
        result_message, result_response_code, result_error_details, created_at, updated_at,
        archived_at, archived_by, archive_reason)
    select retries.*, now(), 'hand', 'age' from retries
    returning 1
), kept_items as (
    insert into public.order_items_archive (
        id, interface_exception_id, blood_type, product_family, quantity, created_at, updated_at,
        archived_at, archived_by, archive_reason)
    select items.*, now(), 'hand', 'age' from items
    returning 1
), kept_changes as (
    insert into public.exception_status_changes_archive (
        id, exception_id, from_status, to_status, changed_by, changed_at, reason, notes, created_at,
        archived_at, archived_by, archive_reason)
    select changes.*, now(), 'hand', 'age' from changes
    returning 1
), kept_parents as (
    insert into public.interface_exceptions_archive (
        id, transaction_id, interface_type, exception_reason, operation, external_id, status, severity, category,
        retryable, customer_id, location_code, "timestamp", processed_at, acknowledged_at, acknowledged_by,
        resolved_at, resolved_by, retry_count, last_retry_at, created_at, updated_at, resolution_method,
        resolution_notes, acknowledgment_notes, max_retries, updated_by,
        archived_at, archived_by, archive_reason)
    select parents.*, now(), 'hand', 'age' from parents
    returning 1
)
select count(*) from kept_parents
