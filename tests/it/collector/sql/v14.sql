-- The exception collector's schema as its migrations V1 to V14 leave it, written from the documented facts.
--
-- Tables are made in the order of those migrations, so that the archive tables are what they are there: a copy
-- (`like … including all`) of main as it was at V8, which no later column has ever reached.

-- V1, V6: the exceptions.
create table public.interface_exceptions (
    id bigserial primary key,
    transaction_id varchar(255) not null unique,
    interface_type varchar(50) not null
        constraint chk_interface_type check (interface_type in ('ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT')),
    exception_reason text not null,
    operation varchar(100) not null,
    external_id varchar(255),
    status varchar(50) not null default 'NEW'
        constraint chk_status check (status in
            ('NEW', 'ACKNOWLEDGED', 'RETRIED_SUCCESS', 'RETRIED_FAILED', 'ESCALATED', 'RESOLVED', 'CLOSED')),
    severity varchar(50) not null default 'MEDIUM'
        constraint chk_severity check (severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    category varchar(50) not null
        constraint chk_category check (category in ('BUSINESS_RULE', 'VALIDATION', 'SYSTEM_ERROR', 'TIMEOUT', 'NETWORK')),
    retryable boolean not null default true,
    customer_id varchar(255),
    location_code varchar(100),
    "timestamp" timestamptz not null,
    processed_at timestamptz not null default now(),
    acknowledged_at timestamptz,
    acknowledged_by varchar(255),
    resolved_at timestamptz,
    resolved_by varchar(255),
    retry_count integer not null default 0,
    last_retry_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
alter table public.interface_exceptions
    add column resolution_method varchar(50),
    add column resolution_notes varchar(1000),
    add column acknowledgment_notes varchar(1000);

-- 23 indexes beside the two keys.
create index idx_exceptions_transaction_id on public.interface_exceptions (transaction_id);
create index idx_exceptions_interface_type on public.interface_exceptions (interface_type);
create index idx_exceptions_status on public.interface_exceptions (status);
create index idx_exceptions_severity on public.interface_exceptions (severity);
create index idx_exceptions_customer_id on public.interface_exceptions (customer_id);
create index idx_exceptions_external_id on public.interface_exceptions (external_id);
create index idx_exceptions_category on public.interface_exceptions (category);
create index idx_exceptions_location_code on public.interface_exceptions (location_code);
create index idx_exceptions_retryable on public.interface_exceptions (retryable) where retryable;
create index idx_exceptions_timestamp on public.interface_exceptions ("timestamp" desc);
create index idx_exceptions_processed_at on public.interface_exceptions (processed_at desc);
create index idx_exceptions_created_at on public.interface_exceptions (created_at desc);
create index idx_exceptions_resolved_at on public.interface_exceptions (resolved_at desc);
create index idx_exceptions_acknowledged_at on public.interface_exceptions (acknowledged_at desc);
create index idx_exceptions_type_status on public.interface_exceptions (interface_type, status);
create index idx_exceptions_severity_timestamp on public.interface_exceptions (severity, "timestamp" desc);
create index idx_exceptions_status_timestamp on public.interface_exceptions (status, "timestamp" desc);
create index idx_exceptions_customer_status on public.interface_exceptions (customer_id, status);
create index idx_exceptions_resolution_method on public.interface_exceptions (resolution_method);
create index idx_exceptions_reason_text on public.interface_exceptions
    using gin (to_tsvector('english', exception_reason));
create index idx_exceptions_operation_text on public.interface_exceptions
    using gin (to_tsvector('english', operation));
create index idx_exceptions_external_text on public.interface_exceptions
    using gin (to_tsvector('english', coalesce(external_id, '')));
create index idx_exceptions_all_text on public.interface_exceptions
    using gin (to_tsvector('english', exception_reason || ' ' || operation || ' ' || coalesce(external_id, '')));

-- V2: their retries.
create table public.retry_attempts (
    id bigserial primary key,
    exception_id bigint not null references public.interface_exceptions (id) on delete cascade,
    attempt_number integer not null,
    status varchar(50) not null default 'PENDING'
        constraint chk_retry_status check (status in ('PENDING', 'SUCCESS', 'FAILED')),
    initiated_by varchar(255) not null,
    initiated_at timestamptz not null default now(),
    completed_at timestamptz,
    result_success boolean,
    result_message text,
    result_response_code integer,
    result_error_details jsonb,
    constraint uk_retry_attempt unique (exception_id, attempt_number)
);
create index idx_retry_exception_id on public.retry_attempts (exception_id);
create index idx_retry_status on public.retry_attempts (status);
create index idx_retry_initiated_at on public.retry_attempts (initiated_at desc);

-- V7, V8: two logs.
create table public.data_migration_log (
    id bigserial primary key,
    migration_type varchar(100) not null,
    source_table varchar(255),
    records_processed integer not null default 0,
    records_migrated integer not null default 0,
    records_failed integer not null default 0,
    started_at timestamptz not null default now(),
    completed_at timestamptz,
    status varchar(50) not null default 'IN_PROGRESS' check (status in ('IN_PROGRESS', 'COMPLETED', 'FAILED')),
    error_details text,
    initiated_by varchar(255) not null
);
create table public.data_cleanup_log (
    id bigserial primary key,
    cleanup_type varchar(100) not null,
    retention_days integer,
    records_deleted integer not null default 0,
    records_preserved integer not null default 0,
    started_at timestamptz not null default now(),
    completed_at timestamptz,
    duration interval,
    status varchar(50) not null default 'IN_PROGRESS' check (status in ('IN_PROGRESS', 'COMPLETED', 'FAILED')),
    dry_run boolean not null default true,
    initiated_by varchar(255) not null,
    notes text
);

-- V9: the archive. The ids' defaults draw from main's sequences; no foreign key is copied.
create table public.interface_exceptions_archive (
    like public.interface_exceptions including all,
    archived_at timestamptz default now(),
    archived_by varchar(255),
    archive_reason varchar(255)
);
create index idx_exceptions_archive_archived_at on public.interface_exceptions_archive (archived_at desc);
create index idx_exceptions_archive_transaction_id on public.interface_exceptions_archive (transaction_id);
create index idx_exceptions_archive_processed_at on public.interface_exceptions_archive (processed_at desc);
create table public.retry_attempts_archive (
    like public.retry_attempts including all,
    archived_at timestamptz default now(),
    archived_by varchar(255)
);
create index idx_retry_archive_archived_at on public.retry_attempts_archive (archived_at desc);
create table public.data_archive_log (
    id bigserial primary key,
    archive_type varchar(100) not null,
    archive_days integer,
    records_archived integer not null default 0,
    records_restored integer not null default 0,
    started_at timestamptz not null default now(),
    completed_at timestamptz,
    duration interval,
    status varchar(50) not null default 'IN_PROGRESS' check (status in ('IN_PROGRESS', 'COMPLETED', 'FAILED')),
    dry_run boolean not null default true,
    initiated_by varchar(255) not null,
    notes text
);

-- V10: columns that the archive lacks from here on.
alter table public.retry_attempts
    add column created_at timestamptz not null default now(),
    add column updated_at timestamptz not null default now();

-- V11: what was ordered. Nothing archives it.
create table public.order_items (
    id bigserial primary key,
    interface_exception_id bigint not null references public.interface_exceptions (id) on delete cascade,
    blood_type varchar(10) not null,
    product_family varchar(50) not null,
    quantity integer not null check (quantity > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index idx_order_items_exception on public.order_items (interface_exception_id);
create index idx_order_items_blood_type on public.order_items (blood_type);
create index idx_order_items_family on public.order_items (product_family);

-- V12: summaries. The first has no unique index, so its concurrent refresh always fails.
create materialized view public.exception_summary_mv as
select interface_type, severity, status, date_trunc('day', "timestamp") as exception_date,
       count(*) as exception_count, count(distinct customer_id) as customers, avg(retry_count) as average_retries
from public.interface_exceptions
where "timestamp" >= current_date - interval '1 year'
group by interface_type, severity, status, date_trunc('day', "timestamp");
create index idx_summary_date on public.exception_summary_mv (exception_date);
create view public.current_exception_summary as
select interface_type, severity, count(*) as exception_count, max("timestamp") as latest
from public.interface_exceptions
where status not in ('RESOLVED', 'CLOSED')
group by interface_type, severity;
create function public.refresh_exception_summary_mv() returns void language plpgsql as $$
begin
    refresh materialized view concurrently public.exception_summary_mv;
end
$$;

-- V13.
alter table public.interface_exceptions add column max_retries integer not null default 3;

-- V14: who changed it last, and the history of its status. Nothing archives that either.
alter table public.interface_exceptions add column updated_by varchar(255);
create table public.exception_status_changes (
    id bigserial primary key,
    exception_id bigint not null references public.interface_exceptions (id) on delete cascade,
    from_status varchar(50),
    to_status varchar(50) not null,
    changed_by varchar(255),
    changed_at timestamptz not null default now(),
    reason varchar(500),
    notes text,
    created_at timestamptz not null default now()
);
create index idx_status_changes_exception on public.exception_status_changes (exception_id);
create index idx_status_changes_changed_at on public.exception_status_changes (changed_at desc);

-- V5, V11, V14: the triggers.
create function public.touch_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;
create function public.note_status_change() returns trigger language plpgsql as $$
begin
    if new.status is distinct from old.status then
        insert into public.exception_status_changes (exception_id, from_status, to_status, changed_by)
        values (new.id, old.status, new.status, coalesce(new.updated_by, 'SYSTEM'));
    end if;
    return new;
end
$$;
create trigger trg_exceptions_updated_at before update on public.interface_exceptions
    for each row execute function public.touch_updated_at();
create trigger trg_order_items_updated_at before update on public.order_items
    for each row execute function public.touch_updated_at();
create trigger trg_exceptions_status_change after update on public.interface_exceptions
    for each row execute function public.note_status_change();
