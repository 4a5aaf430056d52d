-- The tables of the data set that $1 defines: columns, keys, how they hang together, and their archives, as one
-- value. The parent is the first; each table comes before those that reference it. `wanted` are the names that the
-- definition spells, with what was found; `unlisted` the foreign keys that would change rows of tables outside;
-- `rings` the tables that lead back to themselves.
with recursive wanted (place, name) as (
    select 0, $1::jsonb ->> 'table'
    union all
    select place::integer, name
    from jsonb_array_elements_text(
        case jsonb_typeof($1::jsonb -> 'children') when 'array' then $1::jsonb -> 'children' else '[]' end
    ) with ordinality l (name, place)
), named (place, name, oid, kind) as (
    select w.place, w.name, f.oid, f.relkind
    from wanted w
    left join lateral (
        -- A name may itself have dots, so each of them may end the schema.
        select c.oid, c.relkind
        from (
            select left(w.name, at - 1) as schema, substr(w.name, at + 1) as plain
            from generate_series(1, length(w.name)) at
            where substr(w.name, at, 1) = '.'
            union all
            select null, w.name
        ) s
        join pg_class c on c.relname = s.plain and c.relkind in ('r', 'p', 'v', 'm', 'f')
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = s.schema or (s.schema is null and pg_table_is_visible(c.oid))
        order by s.schema nulls last
        limit 1
    ) f on true
), reach (oid, path) as (
    select oid, array[oid]
    from named
    where place = 0 and kind in ('r', 'p')
    union all
    select k.conrelid, r.path || k.conrelid
    from reach r
    join pg_constraint k on k.contype = 'f' and k.conparentid = 0 and k.confrelid = r.oid
    -- A ring is entered once and not followed.
    where r.oid <> all (r.path[:cardinality(r.path) - 1])
      and (
          jsonb_typeof($1::jsonb -> 'children') is distinct from 'array'
          or k.conrelid in (select n.oid from named n where n.place > 0)
      )
), node (place, oid, ring) as (
    select row_number() over (order by max(cardinality(path)), oid) - 1,
           oid,
           bool_or(oid = any (path[:cardinality(path) - 1]))
    from reach
    group by oid
), spelled as (
    select n.place,
           n.oid,
           n.ring,
           c.relkind,
           c.reltuples,
           s.nspname,
           c.relname,
           count(*) over (partition by c.relname) > 1 as twice,
           coalesce($1::jsonb #>> '{archive,schema}', s.nspname) as archive_schema,
           c.relname || coalesce($1::jsonb #>> '{archive,suffix}', '') as archive_name
    from node n
    join pg_class c on c.oid = n.oid
    join pg_namespace s on s.oid = c.relnamespace
), columns (oid, list) as (
    select a.attrelid,
           jsonb_agg(
               jsonb_build_object(
                   'name', a.attname,
                   'type', format_type(a.atttypid, a.atttypmod),
                   'collation', case
                       when a.attcollation <> t.typcollation
                           then quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                   end,
                   'not_null', a.attnotnull,
                   'identity', a.attidentity <> '',
                   'generated', a.attgenerated <> '',
                   'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end
               )
               order by a.attnum
           )
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    left join pg_collation co on co.oid = a.attcollation
    left join pg_namespace cn on cn.oid = co.collnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0
      and not a.attisdropped
      and a.attrelid in (
          select oid from spelled
          union all
          select c.oid
          from spelled s
          join pg_namespace n on n.nspname = s.archive_schema
          join pg_class c on c.relnamespace = n.oid and c.relname = s.archive_name
      )
    group by a.attrelid
)
select jsonb_build_object(
    'wanted', (select jsonb_agg(jsonb_build_object('name', name, 'oid', oid::bigint, 'kind', kind) order by place) from named),
    'unlisted', (
        select coalesce(jsonb_agg(jsonb_build_object('table', n.nspname || '.' || c.relname, 'constraint', k.conname) order by n.nspname, c.relname), '[]')
        from spelled s
        join pg_constraint k on k.contype = 'f' and k.conparentid = 0 and k.confrelid = s.oid
        join pg_class c on c.oid = k.conrelid
        join pg_namespace n on n.oid = c.relnamespace
        where k.confdeltype in ('c', 'n', 'd')
          and k.conrelid not in (select oid from spelled)
    ),
    'rings', (select coalesce(jsonb_agg(nspname || '.' || relname order by place), '[]') from spelled where ring),
    'nodes', (
        select jsonb_agg(
            jsonb_build_object(
                'oid', s.oid::bigint,
                'table', s.nspname || '.' || s.relname,
                'sql', format('%I.%I', s.nspname, s.relname),
                'label', case when s.twice then s.nspname || '_' || s.relname else s.relname end,
                'rows', greatest(s.reltuples, 0),
                'partitioned', case when s.relkind = 'p' then pg_get_partkeydef(s.oid) end,
                'columns', (select list from columns c where c.oid = s.oid),
                'key', coalesce(
                    case when s.place = 0 then $1::jsonb -> 'key' end,
                    (
                        select jsonb_agg(a.attname order by k.place)
                        from pg_index i
                        cross join unnest(i.indkey::int2[]) with ordinality k (number, place)
                        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                        where i.indrelid = s.oid and i.indisprimary and k.place <= i.indnkeyatts
                    ),
                    '[]'
                ),
                -- The sets of columns that name one row.
                'unique', (
                    select coalesce(jsonb_agg(u.names), '[]')
                    from (
                        select (
                            select jsonb_agg(a.attname order by a.attname)
                            from unnest(i.indkey::int2[]) with ordinality k (number, place)
                            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                            where k.place <= i.indnkeyatts
                        ) as names
                        from pg_index i
                        where i.indrelid = s.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
                    ) u
                ),
                'edges', (
                    select coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'to', p.place,
                                'constraint', k.conname,
                                'on_delete', k.confdeltype,
                                'columns', (
                                    select jsonb_agg(a.attname order by x.place)
                                    from unnest(k.conkey) with ordinality x (number, place)
                                    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.number
                                ),
                                'referenced', (
                                    select jsonb_agg(a.attname order by x.place)
                                    from unnest(k.confkey) with ordinality x (number, place)
                                    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.number
                                ),
                                -- Some whole index begins with just these columns, in any order.
                                'indexed', exists (
                                    select
                                    from pg_index i
                                    where i.indrelid = k.conrelid
                                      and i.indisvalid
                                      and i.indpred is null
                                      and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
                                )
                            )
                            order by p.place, k.conname
                        ),
                        '[]'
                    )
                    from pg_constraint k
                    join spelled p on p.oid = k.confrelid
                    where k.contype = 'f' and k.conparentid = 0 and k.conrelid = s.oid
                ),
                'archive', jsonb_build_object(
                    'schema', s.archive_schema,
                    'table', s.archive_schema || '.' || s.archive_name,
                    'sql', format('%I.%I', s.archive_schema, s.archive_name),
                    'oid', ar.oid::bigint,
                    'kind', ar.relkind,
                    'columns', (select list from columns c where c.oid = ar.oid)
                )
            )
            order by s.place
        )
        from spelled s
        left join lateral (
            select c.oid, c.relkind
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = s.archive_schema and c.relname = s.archive_name
              and c.relkind in ('r', 'p', 'v', 'm', 'f')
        ) ar on true
    )
)
