-- The statement by which rows of a node leave, and, unless they are deleted, arrive on the other side: exactly those.
-- It tells how many left and how many arrived. $6 is who, $7 is why.
create or replace function sexton.leave_sql(node jsonb, "order" jsonb, rows_sql text) returns text
language plpgsql stable as $function$
declare
    source constant text := sexton.source_sql(node, "order" ->> 'from');
    columns jsonb;
begin
    if "order" ->> 'to' = 'nowhere' then
        return format(e'with gone as (\n    delete from %s t\n    where %s\n    returning 1\n)\nselect count(*), count(*) from gone',
            source, rows_sql);
    elsif "order" ->> 'to' = 'main' then
        -- What main computes itself, it computes again.
        select jsonb_agg(c -> 'name' order by place)
        into columns
        from jsonb_array_elements(node -> 'columns') with ordinality l (c, place)
        where not (c ->> 'generated')::boolean;
        return format(e'with gone as (\n    delete from %s t\n    where %s\n    returning %s\n), kept as (\n    insert into %s (%s)\n    overriding system value\n    select %s\n    from gone\n    returning 1\n)\nselect (select count(*) from gone), (select count(*) from kept)',
            source, rows_sql, sexton.columns_sql('t', columns), node ->> 'sql', sexton.columns_sql('', columns), sexton.columns_sql('gone', columns));
    end if;
    select jsonb_agg(c -> 'name' order by place)
    into columns
    from jsonb_array_elements(node -> 'columns') with ordinality l (c, place);
    return format(e'with gone as (\n    delete from %s t\n    where %s\n    returning %s\n), kept as (\n    insert into %s (%s, archived_at, archived_by, archive_reason)\n    select %s, now(), left($6::text, 255), left($7::text, 255)\n    from gone\n    returning 1\n)\nselect (select count(*) from gone), (select count(*) from kept)',
        source, rows_sql, sexton.columns_sql('t', columns), node #>> '{archive,sql}', sexton.columns_sql('', columns), sexton.columns_sql('gone', columns));
end
$function$;
