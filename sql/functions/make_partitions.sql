-- Makes the partitions of a partitioned archive that rows of the given keys need: of the ranges that they have in main.
create or replace function sexton.make_partitions(shape jsonb, key jsonb, keys text[]) returns void
language plpgsql as $function$
declare
    parent constant jsonb := shape -> 'nodes' -> 0;
    part record;
begin
    if parent ->> 'partitioned' is null or parent #>> '{archive,kind}' is distinct from 'p' then
        return;
    end if;
    for part in
        execute format($sql$
            select distinct format('%%I.%%I', %2$L::text, left(c.relname, 55) || %3$L) as name, pg_get_expr(c.relpartbound, c.oid) as bound
            from (select distinct t.tableoid from %1$s t where %4$s) used
            cross join lateral (select relid from pg_partition_ancestors(used.tableoid) with ordinality a (relid, place) order by place desc offset 1 limit 1) top
            join pg_class c on c.oid = top.relid
            where not exists (
                select
                from pg_inherits i
                join pg_class a on a.oid = i.inhrelid
                where i.inhparent = %5$s
                  and pg_get_expr(a.relpartbound, a.oid) = pg_get_expr(c.relpartbound, c.oid)
            )$sql$,
            parent ->> 'sql', parent #>> '{archive,schema}',
            case when parent #>> '{archive,schema}' = split_part(parent ->> 'table', '.', 1) then '_archive' else '' end,
            sexton.rows_sql(shape, key, 'main', 0, 't', null), parent #>> '{archive,oid}')
        using null::timestamptz, null::bigint, null::text[], null::text[], keys
    loop
        execute format('create table %s partition of %s %s', part.name, parent #>> '{archive,sql}', part.bound);
    end loop;
end
$function$;
