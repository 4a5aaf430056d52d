-- Refuses a migration for which the user lacks privileges, all of them at once, with the statements that grant them,
-- before a row is read. A dry run asks for the same, since it says what a real run would do.
create or replace function sexton.migrate_privileges(definition jsonb, main jsonb, source oid) returns void
language plpgsql stable as $function$
declare
    missing text[];
begin
    select array_agg(privilege || ' on ' || name order by place, name, privilege)
    into missing
    from (
        select n.place, format('%I.%I', s.nspname, c.relname) as name, n.privilege
        from (
            values (1, source, 'select'), (2, (main ->> 'oid')::oid, 'select'), (2, (main ->> 'oid')::oid, 'insert'),
                (3, (main #>> '{archive,oid}')::oid, 'select'), (5, 'sexton.quarantine'::regclass, 'select'),
                (5, 'sexton.quarantine'::regclass, 'insert'), (5, 'sexton.quarantine'::regclass, 'update'), (5, 'sexton.quarantine'::regclass, 'delete')
            union all
            select 3, k.confrelid, 'select' from pg_constraint k where k.conrelid = (main ->> 'oid')::oid and k.contype = 'f'
            union all
            select 4, l.oid, 'insert'
            from pg_class l
            join pg_namespace p on p.oid = l.relnamespace
            where p.nspname || '.' || l.relname = definition #>> '{log,migration}'
        ) n (place, oid, privilege)
        join pg_class c on c.oid = n.oid
        join pg_namespace s on s.oid = c.relnamespace
        where not has_table_privilege(n.oid, n.privilege)
        union all
        -- A column that takes its number by a default (`serial`) needs its sequence; an identity column does not.
        select 4, format('sequence %I.%I', s.nspname, c.relname), 'usage'
        from pg_attrdef d
        join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_class'::regclass
        join pg_class c on c.oid = p.refobjid
        join pg_namespace s on s.oid = c.relnamespace
        where d.adrelid = (main ->> 'oid')::oid and case when c.relkind = 'S' then not has_sequence_privilege(c.oid, 'usage') end
        union all
        select 6, 'database ' || quote_ident(current_database()), 'temporary'
        where not has_database_privilege(current_database(), 'temporary')
    ) m;
    if missing is not null then
        raise exception using errcode = 'SX001',
            message = format('user `%s` may not do this in database `%s`: it lacks %s', current_user, current_database(),
                array_to_string(missing, ', ')),
            hint = format('run as the tables'' owner: %s',
                (select string_agg(format('grant %s to %I;', m, current_user), ' ') from unnest(missing) m));
    end if;
end
$function$;
