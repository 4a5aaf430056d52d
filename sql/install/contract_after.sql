-- Whoever could call the collector's functions before can call them again; where there were none, only their owner
-- can. They run with their caller's rights, so what a caller needs of ours is granted, too, and nothing else.
do $do$
declare
    new record;
    old record;
    who text;
begin
    for new in
        select p.oid::regprocedure as function, p.proname as name
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'migrate_legacy_exceptions', 'cleanup_old_exceptions', 'cleanup_resolved_exceptions', 'archive_old_exceptions',
              'restore_archived_exceptions', 'validate_migrated_data', 'get_cleanup_statistics', 'get_archive_statistics'
          )
    loop
        execute format('revoke all on function %s from public', new.function);
        for old in select * from sexton_contract c where c.name = new.name loop
            who := case old.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(old.grantee)) end;
            execute format('grant execute on function %s to %s%s', new.function, who,
                case when old.is_grantable and old.grantee <> 0 then ' with grant option' else '' end);
            execute format('grant usage on schema sexton to %s', who);
            execute format('grant select on sexton.dataset to %s', who);
            execute format('grant select (dataset, name, until) on sexton.hold to %s', who);
            -- Refused rows hold personal data: what is for everybody is not for them.
            if new.name = 'migrate_legacy_exceptions' and old.grantee <> 0 then
                execute format('grant select, insert, update, delete on sexton.quarantine to %s', who);
            end if;
        end loop;
        select distinct c.owner into old from sexton_contract c where c.name = new.name limit 1;
        if old.owner is not null and pg_has_role(current_user, old.owner, 'member')
            and has_schema_privilege(old.owner, 'public', 'create')
        then
            execute format('alter function %s owner to %I', new.function, pg_get_userbyid(old.owner));
        end if;
    end loop;
end
$do$;
drop table sexton_contract;
