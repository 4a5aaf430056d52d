-- Refuses an order for which the user lacks privileges, all of them at once, with the statements that grant them,
-- before a row moves.
create or replace function sexton.check_privileges(definition jsonb, shape jsonb, "order" jsonb) returns void
language plpgsql stable as $function$
declare
    missing text[];
    changes text[];
    owner text;
begin
    select array_agg(format('%s on %s', privilege, name) order by place, name, privilege)
    into missing
    from (
        select p.place, node ->> 'sql' as name, (node ->> 'oid')::oid as oid, p.privilege
        from jsonb_array_elements(shape -> 'nodes') node
        cross join (values (1, 'main', 'select'), (1, 'main', 'update'), (1, 'main', 'delete')) p (place, side, privilege)
        where "order" ->> 'from' = 'main'
        union all
        select 2, node #>> '{archive,sql}', (node #>> '{archive,oid}')::oid, p.privilege
        from jsonb_array_elements(shape -> 'nodes') node
        cross join (values ('select', true, true), ('insert', false, true), ('update', true, false), ('delete', true, false)) p (privilege, leaves, arrives)
        where "order" ->> 'from' = 'archive' and p.leaves or "order" ->> 'to' = 'archive' and p.arrives
        union all
        select 3, node ->> 'sql', (node ->> 'oid')::oid, p.privilege
        from jsonb_array_elements(shape -> 'nodes') node
        cross join (values ('select'), ('insert')) p (privilege)
        where "order" ->> 'to' = 'main'
        union all
        select 4, format('%I.%I', n.nspname, c.relname), c.oid, 'insert'
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname || '.' || c.relname in (definition #>> '{log,archive}', definition #>> '{log,cleanup}')
    ) needed
    where oid is not null and not has_table_privilege(oid, privilege);

    if missing is not null then
        raise exception using errcode = 'SX001',
            message = format('user `%s` may not do this in database `%s`: it lacks %s', current_user, current_database(),
                array_to_string(missing, ', ')),
            hint = format('run as the tables'' owner: %s',
                (select string_agg(format('grant %s to %I;', m, current_user), ' ') from unnest(missing) m));
    end if;

    if "order" ->> 'to' = 'archive' or "order" ->> 'to' = 'main' then
        changes := sexton.archive_changes(definition, shape);
        select format('`%s`, which belongs to `%s`', node #>> '{archive,table}', pg_get_userbyid(c.relowner))
        into owner
        from jsonb_array_elements(shape -> 'nodes') node
        join pg_class c on c.oid = (node #>> '{archive,oid}')::oid
        where not pg_has_role(c.relowner, 'usage')
          and exists (select from unnest(changes) s where strpos(s, (node #>> '{archive,sql}') || ' ') > 0)
        limit 1;
        if owner is null then
            select format('schema `%s`, in which the archive is made', n.nspname)
            into owner
            from jsonb_array_elements(shape -> 'nodes') node
            join pg_namespace n on n.nspname = node #>> '{archive,schema}'
            where node #>> '{archive,oid}' is null and not has_schema_privilege(n.oid, 'create')
            limit 1;
        end if;
        if owner is not null then
            raise exception using errcode = 'SX001',
                message = format('user `%s` may not change %s, and the archive must be made to match first', current_user, owner),
                hint = format('run as its owner: %s;', array_to_string(changes, '; '));
        end if;
    end if;
end
$function$;
