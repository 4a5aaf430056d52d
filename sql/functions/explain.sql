-- Everything about an order before it runs: what it finds, what goes from which table, how rows are found, what else
-- would happen (triggers, publications), and what it costs as far as that can be told. Changes nothing.
create or replace function sexton.explain(definition jsonb, "order" jsonb, cutoff timestamptz, most bigint, batch bigint) returns jsonb
language plpgsql as $function$
declare
    shape constant jsonb := sexton.checked_shape(definition);
    script constant jsonb := sexton.script(definition, shape, "order");
    seen constant jsonb := sexton.preview(definition, "order", cutoff, most);
    plan json;
    tables jsonb := '[]';
    node jsonb;
    gone bigint;
    rate numeric;
    into_archive constant boolean := "order" ->> 'to' = 'archive';
begin
    -- A small table is read whole whatever indexes it has; asked is what would help a large one.
    perform set_config('enable_seqscan', 'off', true);
    execute 'explain (format json) ' || (script ->> 'lock') into plan using cutoff, batch, null::text[];
    perform set_config('enable_seqscan', 'on', true);

    for node in select value from jsonb_array_elements(shape -> 'nodes') loop
        gone := case when node -> 'edges' = '[]' then (seen ->> 'rows')::bigint
            else (seen -> 'children' ->> (node ->> 'label'))::bigint end;
        tables := tables || (
            select jsonb_build_object(
                'table', case "order" ->> 'from' when 'archive' then node #>> '{archive,table}' else node ->> 'table' end,
                'to', case when into_archive then node #>> '{archive,table}' end,
                'rows', gone,
                'row_bytes', s.row_bytes,
                'triggers', s.triggers,
                'publications', s.publications,
                -- By what was measured: a lock, a deletion, an insertion and its index entries.
                'wal_bytes', (gone * (
                    case when node -> 'edges' = '[]' then 60 else 0 end + 100
                    + case when into_archive then s.row_bytes + 60 + 70 * s.indexes else 0 end
                ))::bigint
            )
            from (
                select coalesce((
                           select sum(a.avg_width)::bigint
                           from pg_stats a
                           where a.schemaname = n.nspname and a.tablename = c.relname and not a.inherited
                       ), (pg_table_size(c.oid) / greatest(c.reltuples, 1))::bigint) as row_bytes,
                       (
                           select count(*)
                           from pg_index i
                           where i.indrelid = coalesce((node #>> '{archive,oid}')::oid, c.oid)
                       ) as indexes,
                       (
                           select coalesce(jsonb_agg(t.tgname order by t.tgname), '[]')
                           from pg_trigger t
                           where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 8 = 8
                       ) as triggers,
                       (
                           select coalesce(jsonb_agg(p.pubname order by p.pubname), '[]')
                           from pg_publication_tables p
                           where p.schemaname = n.nspname and p.tablename = c.relname
                       ) as publications
                from pg_class c
                join pg_namespace n on n.oid = c.relnamespace
                where c.oid = case "order" ->> 'from' when 'archive' then node #>> '{archive,oid}' else node ->> 'oid' end::oid
            ) s
        );
    end loop;

    select sum((s.counts ->> 'rows')::numeric) / nullif(sum(extract(epoch from s.at - s.started_at)), 0)
    into rate
    from sexton.step s
    where (s.counts ->> 'rows')::bigint >= 1000;

    return seen || jsonb_build_object(
        'tables', tables,
        'indexes', (
            select coalesce(jsonb_agg(distinct x #>> '{}'), '[]')
            from jsonb_path_query(plan::jsonb, 'strict $.**."Index Name"') x
            where x #>> '{}' <> 'hold_pkey'
        ),
        'scans_whole_table', exists (
            select
            from jsonb_path_query(plan::jsonb, 'strict $.** ? (@."Alias" == "t")') n
            where n ->> 'Node Type' in ('Seq Scan', 'Index Scan', 'Index Only Scan') and not n ? 'Index Cond'
        ),
        'rows_a_second', rate
    );
end
$function$;
