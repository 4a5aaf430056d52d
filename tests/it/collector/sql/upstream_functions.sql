-- The eight functions that Sexton's replace, with the names, parameters and results that are documented for them, and
-- with their documented behaviour, defects included. Written for the tests and the benchmark from that description:
-- what is installed over them must keep their grants, and must be right where they are wrong.

-- Takes what it can be given; a failed row is an error, and a row that is there already counts as migrated.
create function public.migrate_legacy_exceptions(
    p_source_table text, p_batch_size integer default 1000, p_dry_run boolean default true)
returns table (migrated_count integer, error_count integer, validation_errors text[])
language plpgsql as $$
declare
    v_source record;
    v_total integer;
    v_offset integer := 0;
begin
    migrated_count := 0;
    error_count := 0;
    validation_errors := '{}';
    execute format('select count(*) from %I', p_source_table) into v_total;
    while v_offset < v_total loop
        for v_source in execute format('select * from %I order by id limit %s offset %s', p_source_table, p_batch_size, v_offset)
        loop
            begin
                if v_source.transaction_id is null or v_source.interface_type is null then
                    raise exception 'Missing required fields';
                elsif v_source.interface_type not in ('ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT') then
                    raise exception 'Invalid interface_type %', v_source.interface_type;
                end if;
                if not p_dry_run then
                    insert into public.interface_exceptions (
                        transaction_id, interface_type, exception_reason, operation, external_id, status, severity,
                        category, retryable, customer_id, location_code, "timestamp", processed_at, retry_count)
                    values (
                        v_source.transaction_id, v_source.interface_type,
                        coalesce(v_source.exception_reason, 'Migrated legacy exception'),
                        coalesce(v_source.operation, 'UNKNOWN'), v_source.external_id,
                        coalesce(v_source.status, 'NEW'), coalesce(v_source.severity, 'MEDIUM'),
                        coalesce(v_source.category, 'SYSTEM_ERROR'), coalesce(v_source.retryable, true),
                        v_source.customer_id, v_source.location_code,
                        coalesce(v_source."timestamp", v_source.created_at, now()), now(),
                        coalesce(v_source.retry_count, 0))
                    on conflict (transaction_id) do nothing;
                end if;
                migrated_count := migrated_count + 1;
            exception when others then
                error_count := error_count + 1;
                validation_errors := validation_errors || format('Record ID %s: %s', v_source.id, sqlerrm);
            end;
        end loop;
        v_offset := v_offset + p_batch_size;
    end loop;
    return next;
end
$$;

-- Checks what the constraints do not let happen.
create function public.validate_migrated_data()
returns table (validation_type text, issue_count integer, sample_issues text[])
language plpgsql as $$
declare
    v_found boolean := false;
begin
    for validation_type, issue_count, sample_issues in
        select 'orphaned_retry_attempts', count(*)::integer, array_agg('Retry ID: ' || r.id)
        from public.retry_attempts r
        where not exists (select from public.interface_exceptions e where e.id = r.exception_id)
        union all
        select 'invalid_status_values', count(*)::integer, array_agg('ID: ' || id)
        from public.interface_exceptions
        where status not in ('NEW', 'ACKNOWLEDGED', 'RETRIED_SUCCESS', 'RETRIED_FAILED', 'ESCALATED', 'RESOLVED', 'CLOSED')
        union all
        select 'invalid_severity_values', count(*)::integer, array_agg('ID: ' || id)
        from public.interface_exceptions
        where severity not in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')
        union all
        select 'missing_timestamps', count(*)::integer, array_agg('ID: ' || id)
        from public.interface_exceptions
        where "timestamp" is null or processed_at is null
        union all
        select 'duplicate_transaction_ids', count(*)::integer, array_agg(transaction_id)
        from (select transaction_id from public.interface_exceptions group by 1 having count(*) > 1 limit 5) twice
    loop
        if issue_count > 0 then
            v_found := true;
            return next;
        end if;
    end loop;
    if not v_found then
        validation_type := 'validation_passed';
        issue_count := 0;
        sample_issues := array['No data integrity issues found'];
        return next;
    end if;
end
$$;

-- Skips a batch for each batch that it deletes, and returns the counts of the last one.
create function public.cleanup_old_exceptions(
    p_retention_days integer default 365, p_batch_size integer default 1000, p_dry_run boolean default true,
    p_preserve_critical boolean default true)
returns table (deleted_exceptions integer, deleted_retry_attempts integer, preserved_critical integer, cleanup_duration interval)
language plpgsql as $$
declare
    v_start timestamptz := now();
    v_cutoff timestamp := now() - make_interval(days => p_retention_days);
    v_eligible integer;
    v_ids bigint[];
begin
    deleted_exceptions := 0;
    deleted_retry_attempts := 0;
    preserved_critical := 0;
    if p_preserve_critical then
        select count(*) into preserved_critical
        from public.interface_exceptions where processed_at < v_cutoff and severity = 'CRITICAL';
    end if;
    select count(*) into v_eligible
    from public.interface_exceptions
    where processed_at < v_cutoff and (severity <> 'CRITICAL' or p_preserve_critical = false);
    for v_batch in 0 .. (v_eligible + p_batch_size - 1) / p_batch_size - 1 loop
        select array_agg(id) into v_ids
        from (select id from public.interface_exceptions
              where processed_at < v_cutoff and (severity <> 'CRITICAL' or p_preserve_critical = false)
              order by id limit p_batch_size offset v_batch * p_batch_size) batch;
        exit when v_ids is null;
        if p_dry_run is not false then
            deleted_exceptions := cardinality(v_ids);
            select count(*) into deleted_retry_attempts from public.retry_attempts where exception_id = any (v_ids);
        else
            delete from public.retry_attempts where exception_id = any (v_ids);
            get diagnostics deleted_retry_attempts = row_count;
            delete from public.interface_exceptions where id = any (v_ids);
            get diagnostics deleted_exceptions = row_count;
        end if;
    end loop;
    cleanup_duration := now() - v_start;
    return next;
end
$$;

-- Deletes critical rows too, archives nothing, and its dry run never ends while one row matches.
create function public.cleanup_resolved_exceptions(
    p_resolved_retention_days integer default 90, p_batch_size integer default 1000, p_dry_run boolean default true)
returns table (deleted_count integer, cleanup_duration interval)
language plpgsql as $$
declare
    v_start timestamptz := now();
    v_cutoff timestamp := now() - make_interval(days => p_resolved_retention_days);
    v_some integer;
begin
    deleted_count := 0;
    loop
        if p_dry_run is not false then
            select count(*) into v_some
            from (select from public.interface_exceptions
                  where status in ('RESOLVED', 'CLOSED') and resolved_at < v_cutoff limit p_batch_size) batch;
        else
            delete from public.retry_attempts where exception_id in (
                select id from public.interface_exceptions
                where status in ('RESOLVED', 'CLOSED') and resolved_at < v_cutoff limit p_batch_size);
            delete from public.interface_exceptions where id in (
                select id from public.interface_exceptions
                where status in ('RESOLVED', 'CLOSED') and resolved_at < v_cutoff limit p_batch_size);
            get diagnostics v_some = row_count;
        end if;
        exit when v_some = 0;
        deleted_count := deleted_count + v_some;
    end loop;
    cleanup_duration := now() - v_start;
    return next;
end
$$;

-- Row by row, 22 columns and the retries; all else is lost, and a batch is skipped for each batch that is archived.
create function public.archive_old_exceptions(
    p_archive_days integer default 730, p_batch_size integer default 1000, p_dry_run boolean default true,
    p_preserve_critical boolean default true, p_archived_by varchar(255) default 'system')
returns table (archived_exceptions integer, archived_retry_attempts integer, preserved_critical integer, archive_duration interval)
language plpgsql as $$
declare
    v_start timestamptz := now();
    v_cutoff timestamp := now() - make_interval(days => p_archive_days);
    v_eligible integer;
    v_row record;
    v_retry record;
begin
    archived_exceptions := 0;
    archived_retry_attempts := 0;
    preserved_critical := 0;
    if p_preserve_critical then
        select count(*) into preserved_critical
        from public.interface_exceptions where processed_at < v_cutoff and severity = 'CRITICAL';
    end if;
    select count(*) into v_eligible
    from public.interface_exceptions
    where processed_at < v_cutoff and (severity <> 'CRITICAL' or p_preserve_critical = false);
    for v_batch in 0 .. (v_eligible + p_batch_size - 1) / p_batch_size - 1 loop
        for v_row in
            select * from public.interface_exceptions
            where processed_at < v_cutoff and (severity <> 'CRITICAL' or p_preserve_critical = false)
            order by id limit p_batch_size offset v_batch * p_batch_size
        loop
            archived_exceptions := archived_exceptions + 1;
            continue when p_dry_run is not false;
            insert into public.interface_exceptions_archive (
                id, transaction_id, interface_type, exception_reason, operation, external_id, status, severity, category,
                retryable, customer_id, location_code, "timestamp", processed_at, acknowledged_at, acknowledged_by,
                resolved_at, resolved_by, retry_count, last_retry_at, created_at, updated_at, archived_by, archive_reason)
            values (
                v_row.id, v_row.transaction_id, v_row.interface_type, v_row.exception_reason, v_row.operation,
                v_row.external_id, v_row.status, v_row.severity, v_row.category, v_row.retryable, v_row.customer_id,
                v_row.location_code, v_row."timestamp", v_row.processed_at, v_row.acknowledged_at,
                v_row.acknowledged_by, v_row.resolved_at, v_row.resolved_by, v_row.retry_count, v_row.last_retry_at,
                v_row.created_at, v_row.updated_at, p_archived_by, 'automated_archival');
            for v_retry in select * from public.retry_attempts where exception_id = v_row.id loop
                insert into public.retry_attempts_archive (
                    id, exception_id, attempt_number, status, initiated_by, initiated_at, completed_at, result_success,
                    result_message, result_response_code, result_error_details, archived_by)
                values (
                    v_retry.id, v_retry.exception_id, v_retry.attempt_number, v_retry.status, v_retry.initiated_by,
                    v_retry.initiated_at, v_retry.completed_at, v_retry.result_success, v_retry.result_message,
                    v_retry.result_response_code, v_retry.result_error_details, p_archived_by);
                archived_retry_attempts := archived_retry_attempts + 1;
            end loop;
            delete from public.retry_attempts where exception_id = v_row.id;
            delete from public.interface_exceptions where id = v_row.id;
        end loop;
        exit when not found;
    end loop;
    archive_duration := now() - v_start;
    return next;
end
$$;

-- Copies back and leaves the archive's copy where it is.
create function public.restore_archived_exceptions(
    p_transaction_ids text[], p_restored_by varchar(255) default 'system')
returns table (restored_exceptions integer, restored_retry_attempts integer, failed_restorations text[])
language plpgsql as $$
declare
    v_wanted text;
    v_row public.interface_exceptions_archive;
    v_retry public.retry_attempts_archive;
begin
    restored_exceptions := 0;
    restored_retry_attempts := 0;
    failed_restorations := '{}';
    foreach v_wanted in array p_transaction_ids loop
        begin
            select * into v_row from public.interface_exceptions_archive where transaction_id = v_wanted;
            if not found then
                failed_restorations := failed_restorations || format('Transaction %s not found in archive', v_wanted);
                continue;
            end if;
            if exists (select from public.interface_exceptions where transaction_id = v_wanted) then
                failed_restorations := failed_restorations || format('Transaction %s already exists in main table', v_wanted);
                continue;
            end if;
            insert into public.interface_exceptions (
                id, transaction_id, interface_type, exception_reason, operation, external_id, status, severity, category,
                retryable, customer_id, location_code, "timestamp", processed_at, acknowledged_at, acknowledged_by,
                resolved_at, resolved_by, retry_count, last_retry_at, created_at, updated_at)
            values (
                v_row.id, v_row.transaction_id, v_row.interface_type, v_row.exception_reason, v_row.operation,
                v_row.external_id, v_row.status, v_row.severity, v_row.category, v_row.retryable, v_row.customer_id,
                v_row.location_code, v_row."timestamp", v_row.processed_at, v_row.acknowledged_at,
                v_row.acknowledged_by, v_row.resolved_at, v_row.resolved_by, v_row.retry_count, v_row.last_retry_at,
                v_row.created_at, now());
            for v_retry in select * from public.retry_attempts_archive where exception_id = v_row.id loop
                insert into public.retry_attempts (
                    id, exception_id, attempt_number, status, initiated_by, initiated_at, completed_at, result_success,
                    result_message, result_response_code, result_error_details)
                values (
                    v_retry.id, v_retry.exception_id, v_retry.attempt_number, v_retry.status, v_retry.initiated_by,
                    v_retry.initiated_at, v_retry.completed_at, v_retry.result_success, v_retry.result_message,
                    v_retry.result_response_code, v_retry.result_error_details);
                restored_retry_attempts := restored_retry_attempts + 1;
            end loop;
            restored_exceptions := restored_exceptions + 1;
        exception when others then
            failed_restorations := failed_restorations || format('Transaction %s: %s', v_wanted, sqlerrm);
        end;
    end loop;
    return next;
end
$$;

create function public.get_cleanup_statistics()
returns table (metric_name text, metric_value bigint, recommendation text)
language sql stable as $$
select name, value, case when value > most then above else below end
from (
    select 1, 'total_exceptions', count(*), 1000000, 'Consider automated cleanup', 'Volume is manageable'
    from public.interface_exceptions
    union all
    select 2, 'old_exceptions_1year', count(*), 100000, 'Cleanup is recommended', 'Volume is acceptable'
    from public.interface_exceptions where processed_at < now() - interval '365 days'
    union all
    select 3, 'resolved_exceptions_90days', count(*), 50000, 'Cleanup is recommended', 'Volume is acceptable'
    from public.interface_exceptions where status in ('RESOLVED', 'CLOSED') and resolved_at < now() - interval '90 days'
    union all
    select 4, 'critical_exceptions', count(*), 1000, 'Investigate', 'Level is normal'
    from public.interface_exceptions where severity = 'CRITICAL'
    union all
    select 5, 'average_age_days', extract(day from avg(now() - processed_at))::bigint, 180, 'Data is aging', 'Age is reasonable'
    from public.interface_exceptions
    union all
    select 6, 'database_size_mb', pg_total_relation_size('public.interface_exceptions') / 1048576, 10240,
           'Consider archiving', 'Size is manageable'
) metric (place, name, value, most, above, below)
order by place
$$;

create function public.get_archive_statistics()
returns table (metric_name text, main_table_count bigint, archive_table_count bigint, total_count bigint, archive_percentage numeric)
language sql stable as $$
select name, main, archive, main + archive, coalesce(round(archive * 100.0 / nullif(main + archive, 0), 2), 0)
from (
    values ('exceptions', (select count(*) from public.interface_exceptions),
            (select count(*) from public.interface_exceptions_archive)),
           ('retry_attempts', (select count(*) from public.retry_attempts),
            (select count(*) from public.retry_attempts_archive))
) counted (name, main, archive)
$$;
