-- The columns that take part in a migration. `seen`: how the mapping sees it, by main's name and in main's type;
-- `value`: the value that main gets; `kept`: it is written at all (a computed one is not); `numbered`: it numbers
-- itself from a sequence, which is left alone.
create or replace function sexton.migrate_columns(definition jsonb, main oid, source oid, rename jsonb) returns jsonb
language plpgsql stable as $function$
declare
    list jsonb := '[]';
    item jsonb;
    wanted text;
    cast_there boolean;
    col record;
begin
    for col in
        with given as (
            select a.attname::text as old, coalesce(rename ->> a.attname, a.attname) as name, format_type(a.atttypid, a.atttypmod) as type
            from pg_attribute a
            where a.attrelid = source and a.attnum > 0 and not a.attisdropped
        ), taken as (
            select a.attnum, a.attname::text as name, format_type(a.atttypid, -1) as type, a.attnotnull, a.attgenerated,
                   pg_get_expr(d.adbin, d.adrelid) as default_value,
                   a.attidentity <> '' or exists (
                       select from pg_depend p
                       join pg_class s on s.oid = p.refobjid and s.relkind = 'S'
                       where p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_class'::regclass
                   ) as numbered
            from pg_attribute a
            left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = main and a.attnum > 0 and not a.attisdropped
        )
        select coalesce(t.name, g.name) as name, g.old, g.type as old_type, t.type, t.attnum, t.attnotnull, t.attgenerated, t.default_value, t.numbered
        from taken t
        full join (
            -- A column that was renamed to a name that the source has too is the one that is meant.
            select distinct on (name) name, old, type from given order by name, old = name
        ) g on g.name = t.name
        order by t.attnum nulls last, g.name
    loop
        item := jsonb_build_object('name', col.name);
        if col.attnum is null then
            list := list || (item || jsonb_build_object('seen', format('(b.content).%I as %I', col.old, col.name)));
            continue;
        end if;
        if col.old is null then
            item := item || jsonb_build_object('seen', format('null::%s as %I', col.type, col.name));
        else
            -- Without a length, so that a text that is too long is refused later and not cut here. Where there is no way
            -- from type to type, the mapping gets the value as it is.
            begin
                execute format('select null::%s::%s', col.old_type, col.type);
                cast_there := true;
            exception when cannot_coerce then
                cast_there := false;
            end;
            item := item || jsonb_build_object('seen',
                case when cast_there then format('(b.content).%I::%s as %I', col.old, col.type, col.name)
                else format('(b.content).%I as %I', col.old, col.name) end);
        end if;
        if col.attgenerated = '' then
            item := item || jsonb_build_object('kept', true, 'numbered', col.numbered);
            wanted := definition #>> array['migrate', 'columns', col.name];
            if wanted is null and col.old is not null and not col.numbered then
                -- A null where main has a default and takes no null means the default.
                wanted := case when col.attnotnull and col.default_value is not null then format('coalesce(%I, %s)', col.name, col.default_value)
                    else quote_ident(col.name) end;
            end if;
            if wanted is not null then
                -- The line break keeps a comment at the end of an expression inside.
                item := item || jsonb_build_object('value', format(e'(%s\n)::%s', wanted, col.type), 'numbered', col.numbered);
            end if;
        end if;
        list := list || item;
    end loop;
    return list;
end
$function$;
