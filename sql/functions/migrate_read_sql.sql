-- Reads the next $1 rows of a source after the key $3 (null: from the beginning) into the batch, numbered from $2 + 1.
-- Rows with the same key come in the same batch, so that none is lost between two.
create or replace function sexton.migrate_read_sql(source text, key jsonb) returns text
language sql immutable
begin atomic
    select format(
        e'insert into pg_temp.sexton_migrate_batch (n, key, content)\n'
        'select $2 + row_number() over (order by %s), array[%s], content\n'
        'from (\n    select "sexton row" as content from %s "sexton row"\n    where $3::text[] is null or (%s) > (%s)\n'
        '    order by %4$s\n    fetch first ($1) rows with ties\n) r',
        string_agg(format('(content).%I', c ->> 'name'), ', ' order by place),
        string_agg(format('(content).%I::text', c ->> 'name'), ', ' order by place),
        source,
        string_agg(format('"sexton row".%I', c ->> 'name'), ', ' order by place),
        string_agg(format('($3::text[])[%s]::%s', place, c ->> 'type'), ', ' order by place)
    )
    from jsonb_array_elements(key) with ordinality l (c, place);
end;
