-- Who has the functions: one role owns them, another may call them, nobody else may. Roles belong to the whole
-- server, and other tests make them too.
do $$
declare
    v_role text;
    v_function record;
begin
    perform pg_advisory_xact_lock(hashtextextended('collector roles', 0));
    foreach v_role in array array['collector_app', 'collector_ops'] loop
        if not exists (select from pg_roles where rolname = v_role) then
            execute format('create role %I', v_role);
        end if;
    end loop;
    grant usage, create on schema public to collector_app;
    grant usage on schema public to collector_ops;
    for v_function in
        select p.oid::regprocedure as name from pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in ('migrate_legacy_exceptions', 'validate_migrated_data', 'cleanup_old_exceptions',
                            'cleanup_resolved_exceptions', 'archive_old_exceptions', 'restore_archived_exceptions',
                            'get_cleanup_statistics', 'get_archive_statistics')
    loop
        execute format('alter function %s owner to collector_app', v_function.name);
        execute format('revoke all on function %s from public', v_function.name);
        execute format('grant execute on function %s to collector_ops', v_function.name);
    end loop;
end
$$;
