-- What a table's unique indexes and exclusion constraints ask for. `signature` is the same for the same demand on
-- another table with the same columns.
create or replace function sexton.unique_indexes(in_table oid)
returns table (name text, columns text[], parts text[], operators text[], condition text, nulls_equal boolean, signature text)
language sql stable
as $function$
    select c.relname::text,
           p.columns,
           p.parts,
           coalesce(
               (
                   select array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by x.place)
                   from pg_constraint k
                   cross join unnest(k.conexclop) with ordinality x (operator, place)
                   join pg_operator o on o.oid = x.operator
                   join pg_namespace n on n.oid = o.oprnamespace
                   where k.conindid = i.indexrelid and k.contype = 'x'
               ),
               array_fill('='::text, array[i.indnkeyatts::integer])
           ),
           pg_get_expr(i.indpred, i.indrelid),
           coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
           concat_ws(' | ', i.indisexclusion, p.parts::text, pg_get_expr(i.indpred, i.indrelid), to_jsonb(i) ->> 'indnullsnotdistinct')
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    cross join lateral (
        select array_agg(a.attname::text order by at) filter (where a.attname is not null) as columns,
               array_agg(pg_get_indexdef(i.indexrelid, at, false) order by at) as parts
        from generate_series(1, i.indnkeyatts) at
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[at - 1] and a.attnum > 0
    ) p
    where i.indrelid = in_table
      and (i.indisunique or i.indisexclusion)
      and i.indisvalid
    order by i.indisprimary desc, i.indexrelid
$function$;
