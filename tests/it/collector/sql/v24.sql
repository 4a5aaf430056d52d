-- What V16 to V24 add to the schema that V14 leaves; V15 and V20 fail in parts, and only the rest of them is here.

-- V16: what the partner's order said.
alter table public.interface_exceptions
    add column order_received jsonb,
    add column order_retrieval_attempted boolean default false,
    add column order_retrieval_error text,
    add column order_retrieved_at timestamptz;

-- V15, V20: indexes, most of them on what is indexed already; some of the many.
create index idx_exceptions_received on public.interface_exceptions using gin (order_received);
create index idx_exceptions_retrieval on public.interface_exceptions (order_retrieval_attempted)
    where order_retrieval_attempted;
create index idx_exceptions_retrieved_at on public.interface_exceptions (order_retrieved_at desc);
create index idx_exceptions_tx_status on public.interface_exceptions (transaction_id, status);
create index idx_exceptions_tx_severity on public.interface_exceptions (transaction_id, severity);
create index idx_exceptions_tx_retryable on public.interface_exceptions (transaction_id, retryable);
create index idx_exceptions_tx_type on public.interface_exceptions (transaction_id, interface_type);
create index idx_exceptions_open on public.interface_exceptions (status, severity, "timestamp" desc)
    where status in ('NEW', 'ACKNOWLEDGED', 'ESCALATED');
create index idx_exceptions_retry_count on public.interface_exceptions (retry_count, max_retries);
create index idx_exceptions_updated_by on public.interface_exceptions (updated_by);
create index idx_exceptions_resolved_by on public.interface_exceptions (resolved_by);
create index idx_retry_exception_status on public.retry_attempts (exception_id, status);
create index idx_retry_latest on public.retry_attempts (exception_id, attempt_number desc);
create index idx_status_changes_to on public.exception_status_changes (to_status, changed_at desc);

-- V18.
alter table public.interface_exceptions add constraint chk_resolution_method
    check (resolution_method in ('RETRY_SUCCESS', 'MANUAL_RESOLUTION', 'CUSTOMER_RESOLVED', 'AUTOMATED'));

-- V19: who changed what through the API; it references nothing.
create table public.mutation_audit_log (
    id bigserial primary key,
    operation_type varchar(50) not null check (operation_type in
        ('RETRY', 'ACKNOWLEDGE', 'RESOLVE', 'CANCEL_RETRY', 'BULK_RETRY', 'BULK_ACKNOWLEDGE')),
    transaction_id varchar(255) not null,
    performed_by varchar(255) not null,
    performed_at timestamptz not null default now(),
    input_data text,
    result_status varchar(20) not null check (result_status in ('SUCCESS', 'FAILURE', 'PARTIAL_SUCCESS')),
    error_details text,
    execution_time_ms integer,
    operation_id varchar(100),
    correlation_id varchar(100),
    client_ip varchar(45),
    user_agent text
);
create index idx_audit_transaction on public.mutation_audit_log (transaction_id, performed_at desc);

-- V20: limits of the whole database, under which every session works from its next start on.
do $$
begin
    execute format('alter database %I set statement_timeout = ''30s''', current_database());
    execute format('alter database %I set lock_timeout = ''10s''', current_database());
    execute format('alter database %I set idle_in_transaction_session_timeout = ''60s''', current_database());
end
$$;
