-- The partitions of a data set's parent that an order takes whole: it archives by age, both sides are partitioned by
-- range of the age column, the partition has rows and none that stays, and the archive has no partition of its range.
-- Such a partition changes hands at once instead of row by row.
create or replace function sexton.whole_partitions(definition jsonb, "order" jsonb, cutoff timestamptz) returns jsonb
language plpgsql stable as $function$
declare
    shape constant jsonb := sexton.checked_shape(definition);
    parent constant jsonb := shape -> 'nodes' -> 0;
    eligible text;
    part record;
    there boolean;
    stays boolean;
    found jsonb := '[]';
begin
    if "order" ->> 'from' <> 'main' or "order" ->> 'to' <> 'archive' or "order" ->> 'select' <> 'old'
        or parent ->> 'partitioned' is distinct from format('RANGE (%I)', definition ->> 'age')
        or parent #>> '{archive,kind}' is distinct from 'p'
        or pg_get_partkeydef((parent #>> '{archive,oid}')::oid) <> parent ->> 'partitioned'
    then
        return found;
    end if;
    eligible := sexton.script(definition, shape, "order") ->> 'eligible';
    for part in
        select c.oid, format('%I.%I', n.nspname, c.relname) as sql, pg_get_expr(c.relpartbound, c.oid) as bound
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid and c.relkind = 'r'
        join pg_namespace n on n.oid = c.relnamespace
        where i.inhparent = (parent ->> 'oid')::oid
          and not i.inhdetachpending
          and pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
          and not exists (
              select
              from pg_inherits ai
              join pg_class ac on ac.oid = ai.inhrelid
              where ai.inhparent = (parent #>> '{archive,oid}')::oid
                and pg_get_expr(ac.relpartbound, ac.oid) in (pg_get_expr(c.relpartbound, c.oid), 'DEFAULT')
          )
        order by c.relname
    loop
        execute format('select exists (select from %s)', part.sql) into there;
        if there then
            execute format('select exists (select from %s t where (%s) is not true)', part.sql, eligible) into stays using cutoff;
            if not stays then
                found := found || jsonb_build_object('oid', part.oid::bigint, 'sql', part.sql, 'bound', part.bound);
            end if;
        end if;
    end loop;
    return found;
end
$function$;
