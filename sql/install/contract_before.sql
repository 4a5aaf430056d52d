-- Whoever owns or may call the collector's functions is remembered, then they are dropped: with other results or one
-- parameter more they cannot be replaced in place.
create temporary table sexton_contract on commit drop as
select p.proname as name,
       p.proowner as owner,
       a.grantee,
       a.is_grantable
from pg_proc p
cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
where p.pronamespace = 'public'::regnamespace
  and a.privilege_type = 'EXECUTE'
  and p.proname in (
      'migrate_legacy_exceptions', 'cleanup_old_exceptions', 'cleanup_resolved_exceptions', 'archive_old_exceptions',
      'restore_archived_exceptions', 'validate_migrated_data', 'get_cleanup_statistics', 'get_archive_statistics'
  );

do $do$
declare
    old regprocedure;
begin
    for old in
        select p.oid::regprocedure
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'migrate_legacy_exceptions', 'cleanup_old_exceptions', 'cleanup_resolved_exceptions', 'archive_old_exceptions',
              'restore_archived_exceptions', 'validate_migrated_data', 'get_cleanup_statistics', 'get_archive_statistics'
          )
    loop
        execute format('drop function %s', old);
    end loop;
end
$do$;
