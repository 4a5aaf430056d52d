-- What a mapped row can be refused for by itself, beyond what its table says: foreign keys, partitions and the
-- definition's own rules. Each statement notes the bad rows.
create or replace function sexton.migrate_refusals(definition jsonb, main oid) returns jsonb
language sql stable
as $function$
    with statement (place, sql) as (
        select 1, format('m.%1$s and not exists (select from %2$s r where %3$s)', k.there, k.referenced, k.equal), k.conname, k.columns,
               format('no row of `%s` has this %s (foreign key `%s`)', k.referenced, k.columns, k.conname), '23503'
        from (
            select k.conname::text, k.confrelid::regclass::text as referenced,
                   string_agg(a.attname, ', ' order by x.place) as columns,
                   string_agg(format('%I is not null', a.attname), ' and m.' order by x.place) as there,
                   string_agg(format('r.%I = m.%I', b.attname, a.attname), ' and ' order by x.place) as equal
            from pg_constraint k
            cross join unnest(k.conkey, k.confkey) with ordinality x (here, there, place)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.here
            join pg_attribute b on b.attrelid = k.confrelid and b.attnum = x.there
            where k.conrelid = main and k.contype = 'f' and k.confrelid <> main
            group by k.oid
        ) k
        union all
        select 2, format('not coalesce(%s, false)', string_agg(format('(%s)', coalesce(pg_get_partition_constraintdef(p.relid), 'true')), ' or ')),
               null, null, format('`%s` has no partition for it', main::regclass), '23514'
        from pg_partition_tree(main) p
        where p.isleaf and p.level > 0
        having count(*) > 0
        union all
        select 2 + place, format(e'(%s\n)', r ->> 'when'), null, null, r ->> 'why', 'SX022'
        from jsonb_array_elements(definition #> '{migrate,refuse}') with ordinality l (r, place)
    )
    select coalesce(jsonb_agg(format(
        e'insert into pg_temp.sexton_migrate_bad (n, sqlstate, constraint_name, column_name, reason)\nselect m."sexton #", %L, %L, %L, %L\nfrom pg_temp.sexton_migrate_mapped m\nwhere %s',
        state, name, columns, reason, bad) order by place, name), '[]')
    from statement s (place, bad, name, columns, reason, state)
$function$;
