-- Which rows would clash with a row of main on another unique column than the one they are known by. Each statement
-- notes the bad rows. A column that numbers itself (`numbered`) never clashes.
create or replace function sexton.migrate_clashes(main oid, known_by text, numbered text[]) returns jsonb
language sql stable
as $function$
    select coalesce(jsonb_agg(format(
        e'insert into pg_temp.sexton_migrate_bad (n, sqlstate, constraint_name, column_name, reason)\nselect m."sexton #", %L, %L, %L, %L\nfrom (select "sexton #", %s from pg_temp.sexton_migrate_mapped%s) m\nwhere exists (select from (select %s from %s%s) t where %s)',
        '23505', u.name, array_to_string(u.columns, ', '), sexton.migrate_clash(u.name, u.columns),
        p.parts, ' where ' || u.condition, p.parts, main::regclass, ' where ' || u.condition, p.equal) order by u.name), '[]')
    from sexton.unique_indexes(main) u
    cross join lateral (
        select string_agg(format('(%s) as k%s', part, place), ', ' order by place) as parts,
               string_agg(
                   case when u.nulls_equal then format('t.k%s is not distinct from m.k%1$s', place)
                   else format('t.k%s %s m.k%1$s', place, u.operators[place]) end, ' and ' order by place) as equal
        from unnest(u.parts) with ordinality l (part, place)
    ) p
    where not (u.parts = array[quote_ident(known_by)] and u.condition is null)
      and not coalesce(u.columns && numbered, false)
$function$;
